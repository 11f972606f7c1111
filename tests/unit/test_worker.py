"""plivostatusd.domain.worker."""

from plivostatusd.domain.worker import Worker


def test_waiting_is_not_stuck() -> None:
    """Who waits for somebody else is not stuck, however long it takes, and nor is a beginner."""
    worker = Worker("pulse")
    assert worker.stuck_in(1e9) is None
    worker.waits_for("the store")
    assert worker.stuck_in(1e9) is None


def test_overdue_is_stuck() -> None:
    """Who is not back by its time is stuck in what it said, until it is heard of again."""
    worker = Worker("pulse")
    worker.is_back_by(10.0, "its pause")
    assert [None, None, "its pause"] == [worker.stuck_in(now_s) for now_s in (0.0, 10.0, 10.1)]
    worker.waits_for("the store")
    assert worker.stuck_in(11.0) is None
