import pytest

from simspark.master.core import MasterSettings
from simspark.master.ledger import MOST_IN_MESSAGE
from simspark.master.status import MOST_CHARACTERS
from simspark.publib.wire import codec, messages
from tests.unit.master.bench import Bench, driver_hello, worker_hello

LONG = "x" * 301


@pytest.mark.parametrize(
    "hello",
    [
        worker_hello(name=LONG),
        worker_hello(host=LONG),
        worker_hello(labels={"zone": LONG}),
        worker_hello(labels={f"label{number}": "" for number in range(51)}),
        worker_hello(slots=10_001),
        driver_hello(user=LONG),
        driver_hello(driver_endpoint=LONG),
        driver_hello(driver_socket=LONG),
        driver_hello(executor_secret=b"s" * 201),
        driver_hello(nonce_secret=b""),
        driver_hello(max_executors=-1),
    ],
)
def test_a_hello_beyond_the_limits_is_refused(hello):
    bench = Bench()
    (refusal,) = bench.join("p", hello)
    assert refusal.code == "bad_hello"
    assert bench.tables() == (0, 0, 0)


def test_grants_and_ends_come_in_pieces_that_fit_into_messages():
    bench = Bench()
    bench.join("p1", worker_hello(slots=1000, memory_mib=1 << 20))
    bench.join("d1", driver_hello())
    bench.say("d1", messages.AskExecutors(1000))
    assert [len(message.grants) for message in bench.sent("d1", messages.ExecutorsGranted)] == [MOST_IN_MESSAGE] * 10
    assert len(bench.sent("p1", messages.LaunchExecutors)) == 10
    bench.say("d1", messages.FinishApplication())
    assert len(bench.sent("p1", messages.KillExecutors)) == 10


def test_the_status_of_a_large_cluster_fits_into_a_message():
    bench = Bench(MasterSettings(trust_local=True))
    labels = {f"label{number}": "y" * 300 for number in range(50)}
    for number in range(80):
        bench.join(f"p{number}", worker_hello(f"n{number}", labels=labels))
    bench.join("s", messages.StatusQuery())
    (report,) = bench.sent("s", messages.StatusReport)
    assert len(report.text) <= MOST_CHARACTERS
    assert '"workers": 80' in report.text
    codec.encode(1, 0, report)
