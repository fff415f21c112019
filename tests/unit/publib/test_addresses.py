import socket

from simspark.publib import addresses


def test_what_is_wanted_is_advertised_before_what_is_listened_on():
    assert addresses.advertised("0.0.0.0", "master.example") == "master.example"
    assert addresses.advertised("10.0.0.1", "") == "10.0.0.1"


def test_who_listens_everywhere_advertises_its_address_towards_the_peer(monkeypatch):
    assert addresses.advertised("0.0.0.0", "", "127.0.0.1") == "127.0.0.1"


def test_without_a_way_to_the_peer_the_hosts_name_is_advertised(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", _unreachable, raising=False)
    assert addresses.own_address("192.0.2.1") == socket.gethostname()


def _unreachable(self, address):
    raise OSError(101, "Network is unreachable")


def test_endpoints_have_brackets_around_numbers_of_the_sixth_version():
    assert addresses.listening("::1", 0) == "tcp://[::1]:*"
    assert addresses.listening("127.0.0.1", 7077) == "tcp://127.0.0.1:7077"
    assert addresses.port_of("tcp://[::1]:7077") == 7077
