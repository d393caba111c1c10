"""Nothing is lost at a high rate of large messages, for a minute.

A stall of either side by more than a few milliseconds overflows the publisher's shared memory, whoever receives. So
every run shows what held the machine up, and one run without loss shows that the receiver causes none.
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
# A run in which the load did not send what it should says nothing.
SENT_SHARE_MIN = 0.98


def measure(settings):
    seconds = SECONDS_QUICK if settings.quick else SECONDS
    section = Section(f"{RATE:,} messages/s of {JOINTS} joints for {seconds} s")
    table = Table(
        ["receiver", "sent", "of the rate", "lost", "by its own count", "load late by up to ms", "processors stolen"]
    )
    section.tables.append(table)
    for run in range(settings.runs):
        # Python loses nearly everything; once is enough.
        for receiver_type in settings.receivers("exporter", "bare_loop", *(["python"] if run == 0 else [])):
            progress(f"soak: {receiver_type.name}, {seconds} s")
            result = {"receiver": receiver_type.name, "run": run, **measure_once(settings, receiver_type, seconds)}
            section.raw.append(result)
            table.rows.append(row(result))
    judge(section)
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


def row(result):
    return [
        result["receiver"],
        number(result["sent"], 0),
        percent(result["sent_share"]),
        number(result["lost"], 0),
        number(result["lost_by_its_own_count"], 0),
        milliseconds(result["late_seconds_max"], 1),
        number(result["stolen"]),
    ]


def judge(section):
    lost = [
        max(result["lost"], result["lost_by_its_own_count"])
        for result in section.raw
        if result["receiver"] == "exporter" and result["sent_share"] >= SENT_SHARE_MIN
    ]
    if lost:
        verdict = section.at_most("messages lost in the best run", min(lost), 0)
        section.notes.append(f"Exporter, lost in its best run: {min(lost):,}, at most 0: {verdict}")
