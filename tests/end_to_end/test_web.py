"""The web side: what it serves, to whom, and what it refuses."""

import concurrent.futures
import contextlib
import gzip
import socket
from collections.abc import Iterator

import pytest

from exporter import NODE_NAME, TOPIC, Exporter, RunExporter, StartExporter
from robot import Robot, Talker, repeatedly
from scrape import Scrape
from waiting import wait_until
from web import Address, request

EXIT_FAILURE = 1

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exchange(address: Address, raw_request: bytes) -> bytes:
    """Sends bytes that no decent client would, and returns the first part of the answer."""
    with socket.create_connection((address.host, address.port), timeout=10.0) as connection:
        # The answer may come, and the connection be closed, before all of the request is sent.
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw_request)
        return connection.recv(4096)


def test_metrics_are_text_in_the_prometheus_format(exporter: Exporter) -> None:
    response = exporter.get("/metrics")

    assert response.status == 200
    assert response.headers["content-type"].replace("; ", ";") == CONTENT_TYPE.replace("; ", ";")
    assert int(response.headers["content-length"]) == len(response.body)
    assert response.text.endswith("\n")


def test_metrics_are_compressed_when_asked(exporter: Exporter) -> None:
    response = exporter.get("/metrics", headers={"Accept-Encoding": "gzip"})

    assert response.headers["content-encoding"] == "gzip"
    assert Scrape(gzip.decompress(response.body).decode()).status(TOPIC) == "no_publisher"


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br", ""])
def test_metrics_are_not_compressed_unasked(exporter: Exporter, accepted: str) -> None:
    response = exporter.get("/metrics", headers={"Accept-Encoding": accepted})

    assert "content-encoding" not in response.headers
    assert Scrape(response.text).status(TOPIC) == "no_publisher"


def test_head_is_get_without_the_body(exporter: Exporter) -> None:
    response = request(exporter.address, "/metrics", method="HEAD")

    assert response.status == 200
    assert response.body == b""


def test_probes_are_answered(exporter: Exporter) -> None:
    assert exporter.get("/livez").status == 200
    assert exporter.get("/readyz").status == 200


def test_the_landing_page_leads_to_the_rest(exporter: Exporter) -> None:
    response = exporter.get("/")

    assert response.status == 200
    assert response.headers["content-type"].startswith("text/html")
    for content in ('href="/metrics"', "/livez", "/readyz", TOPIC, NODE_NAME):
        assert content in response.text


def test_the_landing_page_tells_the_version(exporter: Exporter, run_to_the_end: RunExporter) -> None:
    version = run_to_the_end("--version").stdout.split()[1]

    assert version in exporter.get("/").text


def test_the_landing_page_shows_every_topic_as_text(start_exporter: StartExporter) -> None:
    exporter = start_exporter(parameters={"topics": ["/robot1/joint_states", "/robot2/joint_states"]})

    page = exporter.get("/").text

    assert "/robot1/joint_states" in page
    assert "/robot2/joint_states" in page


def test_metrics_may_be_elsewhere(start_exporter: StartExporter) -> None:
    exporter = start_exporter("--web.telemetry-path=/robot/telemetry")

    assert Scrape(exporter.get("/robot/telemetry").text).status(TOPIC) == "no_publisher"
    assert exporter.get("/metrics").status == 404
    assert 'href="/robot/telemetry"' in exporter.get("/").text


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/metrics/..", "/favicon.ico", "//metrics", "/%6Detrics2"])
def test_what_is_not_there_is_404(exporter: Exporter, path: str) -> None:
    assert exporter.get(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/livez", "/readyz"])
def test_other_methods_are_405(exporter: Exporter, path: str, method: str) -> None:
    response = request(exporter.address, path, method=method)

    assert response.status == 405
    assert {allowed.strip() for allowed in response.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_a_query_does_not_change_the_page(exporter: Exporter) -> None:
    assert exporter.get("/metrics?name[]=x").status == 200


def test_a_request_with_a_large_body_is_413(exporter: Exporter) -> None:
    answer = exchange(exporter.address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"X-Large: " + b"x" * 1_000_000 + b"\r\n", id="one of a megabyte"),
        pytest.param(b"X-Many: x\r\n" * 10_000, id="ten thousand"),
    ],
)
def test_headers_without_measure_are_431(exporter: Exporter, headers: bytes) -> None:
    answer = exchange(exporter.address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 431")
    assert exporter.get("/livez").status == 200


@pytest.mark.parametrize("nonsense", [b"\0\0\0\0\r\n\r\n", b"HELLO\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_refused(exporter: Exporter, nonsense: bytes) -> None:
    answer = exchange(exporter.address, nonsense)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert exporter.get("/livez").status == 200


@contextlib.contextmanager
def connections(address: Address, count: int, first_bytes: bytes) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((address.host, address.port), timeout=10.0))
            connection.sendall(first_bytes)
        yield


@pytest.mark.parametrize("first_bytes", [b"", b"GET /metrics HTT"], ids=["mute", "slow"])
def test_clients_that_never_finish_a_request_do_not_keep_others_out(exporter: Exporter, first_bytes: bytes) -> None:
    with connections(exporter.address, 100, first_bytes):
        assert exporter.get("/metrics").status == 200


@pytest.fixture
def large_exporter(start_exporter: StartExporter, robot: Robot) -> Exporter:
    """An exporter whose scrape is larger than all buffers between it and a client, and that serves one at a time."""
    # Reliable, or most of a message of 3 MB would be lost on the way.
    exporter = start_exporter("--web.max-requests=1", parameters={"qos": "reliable"})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    names = [f"{index:0256}" for index in range(10_000)]
    talker.publish(names, [1.0] * 10_000, [1.0] * 10_000, [1.0] * 10_000)
    exporter.wait_for_messages(1)
    return exporter


def test_a_scrape_that_is_not_read_holds_its_place_only_so_long(large_exporter: Exporter) -> None:
    address = large_exporter.address
    with socket.socket() as stuck:
        # Nothing more is read from this connection, so the exporter cannot get rid of its answer.
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect((address.host, address.port))
        stuck.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        stuck.recv(1)

        assert large_exporter.get("/metrics").status == 503
        assert large_exporter.get("/livez").status == 200
        wait_until(lambda: large_exporter.get("/metrics").status == 200, "another one's turn", timeout_s=30.0)

    assert large_exporter.scrape().value("digital_twin_http_requests_rejected_total", reason="max_requests") >= 1


def test_a_request_that_never_ends_is_given_up(exporter: Exporter) -> None:
    answer = exchange(exporter.address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")

    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


def test_scrapes_at_the_same_time_are_whole(exporter: Exporter, talker: Talker) -> None:
    names = [f"joint_{index}" for index in range(50)]
    count = iter(range(1, 10**9))

    def publish() -> None:
        position = float(next(count))
        talker.publish(names, [position] * 50, [position] * 50, [position] * 50)

    def is_of_one_moment(_: int) -> bool:
        scrape = exporter.scrape()
        fields = [scrape.positions(TOPIC), scrape.velocities(TOPIC), scrape.efforts(TOPIC)]
        values = [value for field in fields for value in field.values()]
        return len(values) == 150 and len(set(values)) == 1

    with repeatedly(publish, interval_s=0.001), concurrent.futures.ThreadPoolExecutor(8) as clients:
        exporter.scrape_until(lambda scrape: len(scrape.positions(TOPIC)) == 50, "all joints")
        assert all(clients.map(is_of_one_moment, range(80)))


def test_a_scrape_shows_every_message_that_it_counts(exporter: Exporter, talker: Talker) -> None:
    published = iter(range(1, 10**9))

    with repeatedly(lambda: talker.publish(["elbow"], [float(next(published))]), interval_s=0.0005):
        exporter.scrape_until(lambda scrape: scrape.messages(TOPIC), "messages that flow")
        for _ in range(500):
            scrape = exporter.scrape()
            # A message's position is its number; a later one may be shown already, but none that is counted be missing.
            assert scrape.positions(TOPIC)["elbow"] >= scrape.messages(TOPIC) + scrape.lost(TOPIC)


def test_it_listens_on_every_address_that_it_was_given(start_exporter: StartExporter) -> None:
    exporter = start_exporter("--web.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.2:0")

    addresses = exporter.addresses(2)

    assert {address.host for address in addresses} == {"127.0.0.1", "127.0.0.2"}
    assert [request(address, "/metrics").status for address in addresses] == [200, 200]


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_it_listens_on_ipv6(start_exporter: StartExporter) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    exporter = start_exporter("--web.listen-address=[::1]:0")

    assert exporter.address.host == "::1"
    assert exporter.get("/metrics").status == 200


def test_an_address_in_use_ends_it_with_one_clear_line(run_to_the_end: RunExporter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"

        ended = run_to_the_end(f"--web.listen-address={address}")

    assert ended.exit_code == EXIT_FAILURE
    (line,) = [line for line in ended.stderr.splitlines() if address in line]
    assert "in use" in line
    assert "panicked" not in ended.stderr


def test_it_tells_of_itself(exporter: Exporter) -> None:
    families = exporter.scrape().families()

    assert families["process_cpu_seconds_total"] == "counter"
    assert families["process_resident_memory_bytes"] == "gauge"
    assert families["process_start_time_seconds"] == "gauge"
    assert families["digital_twin_build_info"] == "gauge"
