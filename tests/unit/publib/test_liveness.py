from simspark.publib.liveness import Liveness, Tracker, Verdict, Vital


def tracker_of(*subjects, thresholds=Liveness()):
    tracker = Tracker(thresholds)
    for subject in subjects:
        tracker.watch(0.0, subject)
    return tracker


def test_the_defaults_say_late_after_5_s_and_dead_after_15():
    tracker = tracker_of("w1")
    assert tracker.check(4.9) == []
    assert tracker.check(5.0) == [Verdict("w1", Vital.LATE)]
    assert tracker.check(10.0) == []
    assert tracker.check(15.0) == [Verdict("w1", Vital.DEAD)]
    assert Liveness().dead_after_s == 15.0


def test_the_fast_profile_judges_within_two_seconds():
    assert Liveness.fast().dead_after_s == 2.0


def test_a_sign_of_life_clears_the_slate_and_tells_that_it_was_late():
    tracker = tracker_of("w1")
    tracker.check(5.0)
    assert tracker.heard(6.0, "w1")
    assert not tracker.heard(6.5, "w1")
    assert tracker.check(11.4) == []
    assert tracker.check(11.5) == [Verdict("w1", Vital.LATE)]


def test_the_dead_are_forgotten_and_their_late_words_mean_nothing():
    tracker = tracker_of("w1")
    for now in (5.0, 10.0, 15.0):
        tracker.check(now)
    assert not tracker.heard(15.5, "w1")
    assert tracker.next_check() is None


def test_the_next_check_is_that_of_the_longest_silence():
    tracker = tracker_of("w1", "w2")
    tracker.heard(3.0, "w1")
    assert tracker.next_check() == 5.0
    assert tracker.check(5.0) == [Verdict("w2", Vital.LATE)]
    assert tracker.next_check() == 8.0


def test_a_check_that_comes_a_minute_late_judges_nobody():
    tracker = tracker_of("w1", "w2")
    assert tracker.check(60.0) == []
    tracker.heard(60.1, "w1")
    assert tracker.check(62.5) == [Verdict("w2", Vital.LATE)]


def test_forgetting_twice_is_harmless():
    tracker = tracker_of("w1")
    tracker.forget("w1")
    tracker.forget("w1")
    assert tracker.check(100.0) == []
