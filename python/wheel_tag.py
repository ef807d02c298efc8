"""What hatchling can't know of the wheel: that it holds a program, and for which systems."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelTag(BuildHookInterface):
    """The tag that scripts/wheel.py found, by the program's own symbols."""

    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        build_data["tag"] = os.environ["SGAS_WHEEL_TAG"]
