"""--web.config.file: TLS, client certificates, users and headers, in the format of Prometheus's exporter-toolkit."""

import json
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from authority import Authority
from exporter import Exporter, RunExporter, StartExporter
from program import EXIT_USAGE
from waiting import wait_until
from web import basic_auth

# The cheapest that bcrypt allows: these passwords guard nothing.
BCRYPT_COST = 4

Config = dict[str, Any]


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    return tmp_path / "web.yml"


def write(config_path: Path, config: Config) -> None:
    """Replaces the file as a whole, as an operator's tool would: nobody sees half of it."""
    partial = config_path.with_suffix(".partial")
    # JSON is YAML too.
    partial.write_text(json.dumps(config))
    os.replace(partial, config_path)


@pytest.fixture
def start_with(start_exporter: StartExporter, config_path: Path) -> Callable[[Config], Exporter]:
    """Starts an exporter with the content of a web configuration file."""

    def start(config: Config) -> Exporter:
        write(config_path, config)
        return start_exporter(f"--web.config.file={config_path}", wait=False)

    return start


def tls_server_config(authority: Authority, **more: str) -> Config:
    server = authority.issue("server")
    return {"tls_server_config": {"cert_file": str(server.certificate), "key_file": str(server.key), **more}}


def test_tls(start_with: Callable[[Config], Exporter], authority: Authority) -> None:
    exporter = start_with(tls_server_config(authority))

    exporter.wait_until_ready(tls=authority.trusted())

    assert exporter.get("/metrics", tls=authority.trusted()).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        exporter.get("/metrics", tls=ssl.create_default_context())


def test_no_metrics_without_tls_where_tls_is_asked(
    start_with: Callable[[Config], Exporter], authority: Authority
) -> None:
    exporter = start_with(tls_server_config(authority))
    exporter.wait_until_ready(tls=authority.trusted())

    with socket.create_connection((exporter.address.host, exporter.address.port), timeout=10.0) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(4096)

    assert b"ros_" not in answer
    assert not answer.startswith(b"HTTP/1.1 200")


def test_paths_are_relative_to_the_file(start_with: Callable[[Config], Exporter], authority: Authority) -> None:
    authority.issue("server")

    exporter = start_with({"tls_server_config": {"cert_file": "server.crt", "key_file": "server.key"}})

    exporter.wait_until_ready(tls=authority.trusted())


def test_a_client_certificate_may_be_required(
    start_with: Callable[[Config], Exporter], authority: Authority, tmp_path: Path
) -> None:
    config = tls_server_config(
        authority, client_auth_type="RequireAndVerifyClientCert", client_ca_file=str(authority.certificate)
    )
    exporter = start_with(config)
    client = authority.issue("client")
    stranger = Authority(tmp_path, "stranger").issue("impostor")

    exporter.wait_until_ready(tls=authority.trusted(client))

    # With TLS 1.3 a client learns only when it reads that it was refused: which error that is, is a matter of timing.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        exporter.get("/metrics", tls=authority.trusted())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        exporter.get("/metrics", tls=authority.trusted(stranger))


def test_tls_may_be_of_the_newest_version_only(start_with: Callable[[Config], Exporter], authority: Authority) -> None:
    exporter = start_with(tls_server_config(authority, min_version="TLS13"))
    exporter.wait_until_ready(tls=authority.trusted())
    old = authority.trusted()
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((ssl.SSLError, ConnectionError)):
        exporter.get("/metrics", tls=old)


@pytest.mark.parametrize("path", ["/metrics", "/"])
def test_users(start_with: Callable[[Config], Exporter], path: str) -> None:
    exporter = start_with({"basic_auth_users": {"alice": hashed("secret"), "bob": hashed("hidden")}})
    exporter.wait_until_ready(headers=basic_auth("alice", "secret"))

    refused = exporter.get(path)
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert b"ros_" not in refused.body
    for user, password in [("alice", "hidden"), ("alice", ""), ("mallory", "secret"), ("", "")]:
        assert exporter.get(path, headers=basic_auth(user, password)).status == 401
    for user, password in [("alice", "secret"), ("bob", "hidden")]:
        assert exporter.get(path, headers=basic_auth(user, password)).status == 200


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer secret", ""])
def test_a_malformed_authorization_is_401(start_with: Callable[[Config], Exporter], value: str) -> None:
    exporter = start_with({"basic_auth_users": {"alice": hashed("secret")}})
    exporter.wait_until_ready(headers=basic_auth("alice", "secret"))

    assert exporter.get("/metrics", headers={"Authorization": value}).status == 401


def test_headers_are_added(start_with: Callable[[Config], Exporter]) -> None:
    exporter = start_with({"http_server_config": {"headers": {"X-Frame-Options": "deny"}}})
    exporter.wait_until_ready()

    assert exporter.get("/metrics").headers["x-frame-options"] == "deny"


def test_a_changed_file_is_read_again(start_with: Callable[[Config], Exporter], config_path: Path) -> None:
    exporter = start_with({"basic_auth_users": {"alice": hashed("old")}})
    exporter.wait_until_ready(headers=basic_auth("alice", "old"))

    write(config_path, {"basic_auth_users": {"alice": hashed("new")}})

    exporter.wait_until_ready(headers=basic_auth("alice", "new"))
    assert exporter.get("/metrics", headers=basic_auth("alice", "old")).status == 401


def test_a_renewed_certificate_is_read(start_with: Callable[[Config], Exporter], authority: Authority) -> None:
    exporter = start_with(tls_server_config(authority))
    exporter.wait_until_ready(tls=authority.trusted())

    def serial_number() -> str:
        with (
            socket.create_connection((exporter.address.host, exporter.address.port), timeout=10.0) as connection,
            authority.trusted().wrap_socket(connection, server_hostname="127.0.0.1") as tls,
        ):
            certificate = tls.getpeercert()
        assert certificate
        return str(certificate["serialNumber"])

    before = serial_number()

    authority.issue("server")

    wait_until(lambda: serial_number() != before, "the new certificate", details=lambda: exporter.stderr)


def test_a_file_broken_later_leaves_the_last_good_one_in_force(
    start_with: Callable[[Config], Exporter], config_path: Path
) -> None:
    exporter = start_with({"basic_auth_users": {"alice": hashed("secret")}})
    exporter.wait_until_ready(headers=basic_auth("alice", "secret"))
    told_before = exporter.stderr.count(config_path.name)
    exporter.expected_errors.append("web configuration")

    config_path.write_text("basic_auth_users: [")

    def is_told() -> bool:
        assert exporter.get("/metrics", headers=basic_auth("alice", "secret")).status == 200
        assert exporter.get("/metrics").status == 401
        return exporter.stderr.count(config_path.name) > told_before

    wait_until(is_told, "a word on the broken file", details=lambda: exporter.stderr)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param("basic_auth_users: [", "web.yml", id="no YAML"),
        pytest.param("basic_auth_user: {alice: x}", "basic_auth_user", id="an unknown key"),
        pytest.param("basic_auth_users: {alice: secret}", "alice", id="a password that is no hash"),
        pytest.param("tls_server_config: {cert_file: a.crt, key_file: a.key}", "a.crt", id="no such certificate"),
        pytest.param("tls_server_config: {cert_file: a.crt}", "key_file", id="a certificate without a key"),
        pytest.param(
            "tls_server_config: {cert_file: web.yml, key_file: web.yml}", "web.yml", id="a certificate that is none"
        ),
        pytest.param(
            "tls_server_config: {cert_file: server.crt, key_file: other.key}", "key_file", id="another one's key"
        ),
        pytest.param(
            "tls_server_config: {cert_file: server.crt, key_file: server.key, client_auth_type: Perhaps}",
            "client_auth_type",
            id="an unknown kind of client authentication",
        ),
        pytest.param(
            "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: nobody.crt,"
            " client_auth_type: RequireAndVerifyClientCert}",
            "nobody.crt",
            id="no such authority",
        ),
    ],
)
def test_a_bad_file_stops_the_start(
    run_to_the_end: RunExporter, authority: Authority, config_path: Path, content: str, complaint: str
) -> None:
    authority.issue("server")
    authority.issue("other")
    config_path.write_text(content)

    ended = run_to_the_end(f"--web.config.file={config_path}")

    assert ended.exit_code == EXIT_USAGE, ended
    assert complaint in ended.stderr
    assert config_path.name in ended.stderr
    assert "panicked" not in ended.stderr


def test_a_bad_file_is_told_by_flag_or_name_in_one_line(run_to_the_end: RunExporter, config_path: Path) -> None:
    config_path.write_text("nonsense: true")

    ended = run_to_the_end(f"--web.config.file={config_path}")

    assert len([line for line in ended.stderr.splitlines() if str(config_path) in line]) == 1
