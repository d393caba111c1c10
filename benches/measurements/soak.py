"""Nothing is lost at a high rate of large messages, for a minute, in any run.

A stall of either side by more than a few milliseconds overflows the publisher's shared memory, whoever receives. So
every run also shows what held the machine up, and the bare loop beside it what is lost without us.
"""

from interference import Interference
from measurements.settings import progress
from processes import Load, free_domain_id
from report import Section, Table, milliseconds, number, percent

RATE = 5000
JOINTS = 500
SECONDS = 60
SECONDS_QUICK = 5
DEPTH = 100
# The load sends what it says, or the measurement says nothing.
SENT_SHARE_MIN = 0.99


def measure(settings):
    seconds = SECONDS_QUICK if settings.quick else SECONDS
    section = Section(f"{RATE:,} messages/s of {JOINTS} joints for {seconds} s")
    table = Table(
        [
            "receiver",
            "sent",
            "load held the rate",
            "lost",
            "by its own count",
            "0 lost",
            "load late by up to ms",
            "processors stolen",
        ]
    )
    section.tables.append(table)
    for run in range(settings.runs):
        # Python loses nearly everything; once is enough.
        for receiver_type in settings.receivers("exporter", "bare_loop", *(["python"] if run == 0 else [])):
            progress(f"soak: {receiver_type.name}, {seconds} s")
            result = {"receiver": receiver_type.name, "run": run, **measure_once(settings, receiver_type, seconds)}
            section.raw.append(result)
            table.rows.append(row(section, result))
    return section


def measure_once(settings, receiver_type, seconds):
    interference = Interference()
    domain_id = free_domain_id()
    options = {"rate": RATE, "joints": JOINTS, "depth": DEPTH, "duration": seconds, "wait_for_subscribers": 1}
    with receiver_type(settings.bench, domain_id) as receiver:
        receiver.wait_ready()
        with Load(settings.bench, domain_id, **options) as load:
            sent = load.sent()
        counts = receiver.drained_counts()
    return {
        "sent": sent.messages,
        "sent_share": sent.messages / (RATE * seconds),
        "late_seconds_max": sent.late_seconds_max,
        "lost": sent.messages - counts.received,
        "lost_by_its_own_count": counts.lost,
        "stolen": interference.processors()["stolen"],
    }


def row(section, result):
    verdict = "-"
    sent_share = result["sent_share"]
    if result["receiver"] == "exporter":
        lost = max(result["lost"], result["lost_by_its_own_count"])
        verdict = section.at_most(f"messages lost in run {result['run'] + 1}", lost, 0)
        section.at_least(f"share of the rate that the load held in run {result['run'] + 1}", sent_share, SENT_SHARE_MIN)
    load_held = "yes" if sent_share >= SENT_SHARE_MIN else f"no: {percent(sent_share)}"
    return [
        result["receiver"],
        number(result["sent"], 0),
        load_held,
        number(result["lost"], 0),
        number(result["lost_by_its_own_count"], 0),
        verdict,
        milliseconds(result["late_seconds_max"], 1),
        number(result["stolen"]),
    ]
