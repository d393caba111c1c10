"""What the programs here have in common when they are called."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from rclpy.utilities import remove_ros_args

USAGE_ERROR = 64


class Parser(argparse.ArgumentParser):
    """Knows ROS arguments, and ends with the exit code that the nodes have for bad usage."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Of a command line, the program's name first."""
        try:
            return self.parse_args(remove_ros_args(list(arguments))[1:])
        except Exception as error:  # what rclpy raises here has no public name
            self.error(f"ROS: {error}")

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE_ERROR, f"error: {message}\n")
