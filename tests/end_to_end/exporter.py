"""The exporter under test, as a process with a web address."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from program import RELEASE, Ended, ParameterValue, Program
from robot import Talker
from scrape import Scrape
from waiting import wait_until

NODE_NAME = "ros_metrics_exporter"
PROGRAM = RELEASE / NODE_NAME
TOPIC = "/joint_states"


class StartExporter(Protocol):
    """The fixture `start_exporter`."""

    def __call__(
        self,
        *flags: str,
        parameters: Mapping[str, ParameterValue] = ...,
        ros: Sequence[str] = ...,
        wait: bool = ...,
    ) -> "Exporter": ...


class RunExporter(Protocol):
    """The fixture `run_to_the_end`."""

    def __call__(
        self, *flags: str, parameters: Mapping[str, ParameterValue] = ..., ros: Sequence[str] = ...
    ) -> Ended: ...


class Exporter(Program):
    """A running exporter."""

    def wait_for_messages(self, count: int, topic: str = TOPIC) -> Scrape:
        """A scrape from after so many messages: in the one that shows the last, other counts may be from before it."""
        self.scrape_until(lambda scrape: scrape.messages(topic) == count, f"{count} messages on {topic}")
        return self.scrape()

    def wait_for_status(self, status: str, topic: str = TOPIC) -> Scrape:
        return self.scrape_until(lambda scrape: scrape.status(topic) == status, f"status {status} of {topic}")

    def wait_for_publishers(self, count: int, topic: str = TOPIC) -> Scrape:
        return self.scrape_until(lambda scrape: scrape.publishers(topic) == count, f"{count} publishers on {topic}")

    def wait_until_matched(self, *talkers: Talker) -> None:
        """Waits until this exporter and all publishers of its topics know each other.

        What is published earlier reaches nobody, and both ends have to know: each finds the other on its own.
        """
        for topic, count in Counter(talker.topic for talker in talkers).items():
            self.wait_for_publishers(count, topic)
        wait_until(lambda: all(talker.is_matched() for talker in talkers), "the publishers have found the exporter")
