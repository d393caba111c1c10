"""Nothing is lost at a high rate of large messages, for a minute."""

from measurements.settings import progress
from processes import Load, free_domain_id
from report import Section, Table, number, percent

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
    table = Table(["receiver", "sent", "received", "lost by its own count", "lost", "0 lost", "load held the rate"])
    section.tables.append(table)
    for receiver_type in settings.receivers("exporter", "bare_loop", "python"):
        progress(f"soak: {receiver_type.name}, {seconds} s")
        result = measure_once(settings, receiver_type, seconds)
        section.raw.append({"receiver": receiver_type.name, **result})
        table.rows.append(row(section, receiver_type, result))
    return section


def measure_once(settings, receiver_type, seconds):
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
        "received": counts.received,
        "lost": sent.messages - counts.received,
        "lost_by_its_own_count": counts.lost,
    }


def row(section, receiver_type, result):
    verdict = "-"
    if receiver_type.name == "exporter":
        lost = max(result["lost"], result["lost_by_its_own_count"])
        verdict = section.at_most("messages lost", lost, 0)
    load_held = "yes" if result["sent_share"] >= SENT_SHARE_MIN else f"no: {percent(result['sent_share'])}"
    return [
        receiver_type.name,
        number(result["sent"], 0),
        number(result["received"], 0),
        number(result["lost_by_its_own_count"], 0),
        number(result["lost"], 0),
        verdict,
        load_held,
    ]
