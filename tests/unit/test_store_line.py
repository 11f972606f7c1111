"""Who is in the writer's next batch, and who waits behind it."""

from __future__ import annotations

from plivostatusd.store.line import JOBS_PER_BATCH_MAX, PATIENT_PER_BATCH_MAX, Line


def line_of(*, impatient: int, patient: int) -> Line[str]:
    """Make a line in which all of the patient came first."""
    line: Line[str] = Line()
    for number in range(patient):
        line.add(f"send {number}", is_impatient=False)
    for number in range(impatient):
        line.add(f"callback {number}", is_impatient=True)
    return line


def test_a_callback_goes_before_a_backlog() -> None:
    """However many sends came before it, a callback is the first in the next batch."""
    line = line_of(impatient=1, patient=1_000)
    batch = line.take()
    assert ["callback 0", "send 0", "send 1"] == batch[:3]
    assert 1 + PATIENT_PER_BATCH_MAX == len(batch)
    assert 1_000 - PATIENT_PER_BATCH_MAX == len(line)


def test_nobody_waits_for_ever() -> None:
    """Behind more callbacks than a batch takes some sends go all the same."""
    line = line_of(impatient=2 * JOBS_PER_BATCH_MAX, patient=3)
    batch = line.take()
    assert JOBS_PER_BATCH_MAX == sum(each.startswith("callback") for each in batch)
    assert ["send 0", "send 1", "send 2"] == batch[-3:]


def test_in_the_order_they_came() -> None:
    """Each kind goes in its own order, and everybody once."""
    line = line_of(impatient=3, patient=2 * PATIENT_PER_BATCH_MAX + 1)
    taken = []
    while line:
        taken += line.take()
    assert [f"callback {number}" for number in range(3)] == taken[:3]
    assert [f"send {number}" for number in range(2 * PATIENT_PER_BATCH_MAX + 1)] == taken[3:]
