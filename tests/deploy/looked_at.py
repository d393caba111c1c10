"""What the programs that look at nodes are shown: an exporter that is secured, one whose robot moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from authority import Authority
from exporter import TOPIC, Exporter, StartExporter
from program import Program
from robot import Robot, repeatedly

INTERVAL_S = 0.05


def url(program: Program) -> str:
    return f"http://{program.address}"


@dataclass(frozen=True)
class Secured:
    """An exporter with TLS and the user `me`, and the files that one needs or that do not help."""

    exporter: Exporter
    certificate: Path
    other_certificate: Path
    password: Path


def secure(start_exporter: StartExporter, directory: Path) -> Secured:
    authority, other = Authority(directory), Authority(directory, "other")
    authority.issue("server")
    password_hash = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    config = directory / "web.yml"
    config.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
        f"basic_auth_users: {{me: {password_hash}}}\n"
    )
    password = directory / "password"
    password.write_text("secret\n")
    exporter = start_exporter(f"--web.config.file={config}", wait=False)
    return Secured(exporter, authority.certificate, other.certificate, password)


@contextmanager
def moving_joint(exporter: Exporter, domain_id: int) -> Iterator[None]:
    """A robot whose elbow is told of again and again."""
    robot = Robot(domain_id)
    talker = robot.talker(TOPIC)
    try:
        exporter.wait_until_matched(talker)
        with repeatedly(lambda: talker.publish(["elbow"], [0.5], [0.25]), INTERVAL_S):
            yield
    finally:
        robot.close()
