"""What commands ask of the joints over time."""

import numpy as np
import pytest

from setpoints import FOLLOWED_S_MAX, WAITING_MAX, Commands, Setpoint, Trajectory, walk, wave

A, B = 0, 1


def commands() -> Commands:
    return Commands(np.zeros(2))


def trajectory(joints: list[int], begin_s: float, *points: tuple[float, list[float]], velocities=None) -> Trajectory:
    after_s, positions = zip(*points)
    given = None if velocities is None else np.array(velocities)
    return Trajectory(np.array(joints), begin_s, np.array(after_s), np.array(positions), given)


def positions(source: Commands, *times_s: float) -> list[list[float]]:
    return [pytest.approx(source.at(time_s).position.tolist(), abs=1e-9) for time_s in times_s]


def test_points_are_joined_by_lines_and_the_last_holds() -> None:
    source = commands()
    assert source.start(trajectory([A], 1.0, (1.0, [1.0]), (2.0, [0.0])), 1.0)
    assert positions(source, 1.5, 2.0, 2.5, 3.0, 9.0) == [[0.5, 0], [1, 0], [0.5, 0], [0, 0], [0, 0]]
    assert source.at(9.0).velocity.tolist() == [0.0, 0.0]


def test_with_velocities_the_way_is_a_cubic_that_has_them() -> None:
    source = commands()
    source.start(trajectory([A], 0.0, (1.0, [1.0]), (2.0, [2.0]), velocities=[[1.5], [0.0]]), 0.0)
    before, after = source.at(1.0 - 1e-9), source.at(1.0 + 1e-9)
    assert before.velocity[A] == pytest.approx(1.5) == after.velocity[A]
    times_s = np.arange(0.0, 2.0, 1e-3)
    ways = [commands_at(time_s) for time_s in times_s]
    measured = np.gradient([way.position[A] for way in ways], times_s)
    assert measured[5:-5] == pytest.approx([way.velocity[A] for way in ways][5:-5], abs=1e-2)


def commands_at(time_s: float) -> Setpoint:
    source = commands()
    source.start(trajectory([A], 0.0, (1.0, [1.0]), (2.0, [2.0]), velocities=[[1.5], [0.0]]), 0.0)
    return source.at(float(time_s))


def test_the_newest_command_has_those_joints_that_it_names() -> None:
    source = commands()
    source.start(trajectory([A, B], 0.0, (2.0, [2.0, 2.0]), (4.0, [4.0, 4.0])), 0.0)
    source.at(1.0)
    source.start(trajectory([B], 1.0, (1.0, [0.0])), 1.0)
    assert positions(source, 1.5, 2.0, 3.0, 5.0) == [[1.5, 0.5], [2, 0], [3, 0], [4, 0]]
    source.jump(np.array([A]), np.array([-1.0]))
    assert positions(source, 5.0, 6.0) == [[-1, 0], [-1, 0]]


def test_one_that_begins_later_waits_and_one_that_has_begun_is_entered() -> None:
    source = commands()
    source.start(trajectory([A], 1.0, (1.0, [1.0])), 0.0)
    source.start(trajectory([B], -1.0, (0.5, [5.0]), (2.0, [1.0])), 0.0)
    assert positions(source, 0.5, 1.0, 1.5, 2.0) == [[0, 0.5], [0, 1], [0.5, 1], [1, 1]]


def test_a_step_of_time_over_several_points_ends_where_it_should() -> None:
    source = commands()
    source.start(trajectory([A], 0.0, (0.001, [1.0]), (0.002, [2.0]), (1.002, [3.0])), 0.0)
    assert positions(source, 0.502, 7.0) == [[2.5, 0], [3, 0]]


def test_no_more_than_some_wait() -> None:
    source = commands()
    assert all(source.start(trajectory([A], 5.0, (1.0, [1.0])), 0.0) for _ in range(WAITING_MAX))
    assert not source.start(trajectory([A], 5.0, (1.0, [1.0])), 0.0)


def test_what_is_followed_moves_on_for_a_moment_and_then_stands() -> None:
    source = commands()
    source.follow(np.array([A]), 1.0, np.array([1.0]), np.array([2.0]))
    end = 1.0 + 2.0 * FOLLOWED_S_MAX
    assert positions(source, 1.0, 1.0 + FOLLOWED_S_MAX / 2, 2.0) == [[1, 0], [(1 + end) / 2, 0], [end, 0]]
    assert source.at(2.0).velocity[A] == 0.0


@pytest.mark.parametrize("kind", ["wave", "walk"])
def test_a_motion_is_as_fast_as_it_says_and_begins_at_rest(kind: str) -> None:
    names = ["left_knee_joint", "right_knee_joint", "left_elbow_joint"]
    lower, upper = np.array([-0.05, -0.05, -2.0]), np.array([2.4, 2.4, 0.05])
    motion = wave(lower, upper) if kind == "wave" else walk(names, lower, upper)
    times_s = np.arange(0.0, 8.0, 1e-3)
    found = [motion.at(time_s) for time_s in times_s]
    path = np.array([one.position for one in found])
    assert (lower <= path).all() and (path <= upper).all()
    velocity = np.array([one.velocity for one in found])
    assert np.gradient(path, times_s, axis=0)[1:-1] == pytest.approx(velocity[1:-1], abs=1e-3)
    assert np.abs(found[0].position).max() == np.abs(found[0].velocity).max() == 0.0


def test_who_has_no_legs_does_not_walk() -> None:
    assert walk(["fr3_joint1"], np.array([-1.0]), np.array([1.0])) is None
