"""The robot as a physical body: MuJoCo in steps of one millisecond, and a position servo at every joint.

The servos know the robot as its model describes it. They add what gravity, inertia, friction and damping will take, so
that they follow closely; friction and damping that differ from the model then show as an error. Their sum is held to
the effort limit.
"""

import mujoco
import numpy as np

from robot_model import ModelError, Robot
from setpoints import Array, Setpoint

STEP_S = 0.001

# A position error of so many rad (or m) asks for the whole effort.
FULL_EFFORT_AT = 0.25
# The inertia of a drive's rotor, as its gear reflects it, in kg m² for each N m of effort: URDF has no place for it. Around
# the 0.01 kg m² that the model of the Unitree G1 in mujoco_menagerie (unitree_g1/g1.xml) has for each of its joints.
ARMATURE_PER_EFFORT = 1.5e-4
# The stops at the ends of a range give way for about so many seconds, and do not bounce (MuJoCo's solref).
END_STOP = (0.004, 1.0)
# Below this speed, in rad/s or m/s, the friction that is expected fades out: its sign is not known at rest.
FRICTION_FADE = 0.05


class Unstable(Exception):
    """The simulation has left what numbers can follow."""


class Physics:
    """One robot with its base fixed to the world, at rest where all joints are at zero or at the end next to it."""

    def __init__(self, robot: Robot, stiffness: float) -> None:
        self._model = compile_model(robot)
        self._data = mujoco.MjData(self._model)
        self.urdf = robot.urdf
        self.names = [self._model.joint(index).name for index in range(self._model.njnt)]
        joints = [robot.joints[name] for name in self.names]
        self.lower, self.upper, self._velocity_max, self._friction, self._damping = (
            np.array([getattr(joint, field) for joint in joints])
            for field in ("lower", "upper", "velocity", "friction", "damping")
        )
        self.home: Array = np.clip(0.0, self.lower, self.upper)
        self._data.qpos[:] = self.home
        mujoco.mj_forward(self._model, self._data)
        self._set_gains(np.array([joint.effort for joint in joints]), stiffness)
        self._target = self.home.copy()
        self._change_max = self._velocity_max * STEP_S

    @property
    def position(self) -> Array:
        return self._data.qpos

    @property
    def velocity(self) -> Array:
        return self._data.qvel

    @property
    def effort(self) -> Array:
        """What the drives exert."""
        return self._data.qfrc_actuator

    def set_friction_scale(self, scale: float) -> None:
        """Times the friction that the model has; the servos do not know."""
        self._model.dof_frictionloss[:] = scale * self._friction

    def set_damping_scale(self, scale: float) -> None:
        self._model.dof_damping[:] = scale * self._damping

    def step(self, setpoint: Setpoint) -> None:
        """One millisecond in which the joints are to be there, within their ranges and no faster than they can."""
        position = np.clip(setpoint.position, self.lower, self.upper)
        change = np.clip(position - self._target, -self._change_max, self._change_max)
        self._target += change
        velocity = np.clip(setpoint.velocity, -self._velocity_max, self._velocity_max)
        feed_forward = self._velocity_gain * velocity + self._inertia * setpoint.acceleration
        feed_forward += self._friction * np.clip(velocity / FRICTION_FADE, -1.0, 1.0)
        # The actuator's law is stiffness * (control - position) - damping * velocity.
        np.divide(feed_forward, self._stiffness, out=self._data.ctrl)
        self._data.ctrl += self._target
        mujoco.mj_step(self._model, self._data)

    def check(self) -> None:
        """Raises where a number is none, or MuJoCo has begun anew because one was."""
        if self._data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number or not np.isfinite(self._data.qpos).all():
            raise Unstable(f"unstable after {self._data.time:.3f} s: are the model's inertia and --stiffness right?")

    def _set_gains(self, effort: Array, stiffness: float) -> None:
        inertia = np.zeros((self._model.nv, self._model.nv))
        mujoco.mj_fullM(self._model, self._data, inertia)
        self._inertia = inertia.diagonal().copy()
        self._stiffness = stiffness * effort / FULL_EFFORT_AT
        servo_damping = 2.0 * np.sqrt(self._stiffness * self._inertia)  # critical
        self._velocity_gain = servo_damping + self._damping
        self._model.actuator_gainprm[:, 0] = self._stiffness
        self._model.actuator_biasprm[:, 1] = -self._stiffness
        self._model.actuator_biasprm[:, 2] = -servo_damping


def compile_model(robot: Robot) -> mujoco.MjModel:
    """MuJoCo reads position limits, effort limits, friction and damping from the URDF; the rest is added here."""
    try:
        spec = mujoco.MjSpec.from_string(robot.urdf)
        spec.option.timestep = STEP_S
        # Stable with stiff servos: their damping is taken into the step implicitly.
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        for body in spec.bodies:
            body.gravcomp = 1.0
        for joint in spec.joints:
            effort = robot.joints[joint.name].effort
            joint.armature = ARMATURE_PER_EFFORT * effort
            joint.solref_limit[:] = END_STOP
            # By the drives and within their limits, not by floating.
            joint.actgravcomp = True
            actuator = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
            actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        return spec.compile()
    except (ValueError, KeyError, mujoco.FatalError) as error:
        raise ModelError(f"MuJoCo cannot use the model: {' '.join(str(error).split())}") from None
