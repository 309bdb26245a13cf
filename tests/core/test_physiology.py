"""Movement; heart, breath and skin have specifications of their own."""

from musicmed_live.core.physiology import MotionSignal


def test_who_sits_still_does_not_move() -> None:
    motion = MotionSignal()
    for now in range(60):
        motion.add(0.02, now)

    assert not motion.moving(59)


def test_a_movement_counts_until_it_has_settled() -> None:
    motion = MotionSignal()
    motion.add(0.4, 5.0)
    motion.add(0.01, 6.0)

    assert motion.moving(5.0)
    assert motion.moving(14.9)
    assert not motion.moving(15.0)


def test_a_reading_that_comes_late_does_not_shorten_it() -> None:
    motion = MotionSignal()
    motion.add(0.4, 5.0)
    motion.add(0.4, 2.0)

    assert motion.moving(14.0)


def test_without_a_sensor_nobody_moves() -> None:
    assert not MotionSignal().moving(0.0)
