"""The console script of the wheel: one sentence and a hint where there is no torch, another one, half of one, no program,
or no glibc; else it becomes the program. Its torch and program are files of no content."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from program import ROOT


class ConsoleScript(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sgas-console-")
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name).resolve()
        script = ROOT / "python" / "sgas_program.py"
        if not script.is_file():
            self.skipTest("the checkout is not here; scripts/test_wheel.py looks at the installed one")
        shutil.copy(script, self.place)

    def torch(self, version, libraries=("libc10.so", "libtorch_cpu.so"), cuda=None):
        library = self.place / "torch" / "lib"
        library.mkdir(parents=True)
        (library.parent / "__init__.py").write_text("raise SystemExit('torch was imported')\n")
        text = f"from typing import Optional\n__version__ = '{version}'\ncuda: Optional[str] = {cuda!r}\n"
        (library.parent / "version.py").write_text(text)
        for name in libraries:
            (library / name).touch()

    def program(self, text):
        file = self.place / "sgas" / "bin" / "sgas"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def call(self, **variables):
        # Without site, so that the only torch is ours.
        command = [sys.executable, "-B", "-S", self.place / "sgas_program.py", "a", "b c"]
        environment = {"PATH": os.environ["PATH"], **variables}
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def refused(self, told, advised=""):
        result = self.call()
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        error, hint = result.stderr.splitlines()
        self.assertTrue(error.startswith("error: ") and hint.startswith("hint: "), result.stderr)
        self.assertIn(told, error)
        self.assertIn(advised, hint)

    def test_no_program(self):
        self.refused("there is no program at")

    def test_no_torch(self):
        self.program("#!/bin/sh\n")
        self.refused("there is no torch beside")

    def test_another_torch(self):
        self.program("#!/bin/sh\n")
        for version in ["2.10.0+cu128", "2.11.1", "3.0.0"]:
            shutil.rmtree(self.place / "torch", ignore_errors=True)
            self.torch(version)
            self.refused(f"sgas needs torch 2.11.0, found {version} in ")

    def test_half_of_a_torch(self):
        self.program("#!/bin/sh\n")
        self.torch("2.11.0+cpu", libraries=["libc10.so"])
        self.refused("there is no libtorch_cpu.so in")

    def test_torch_with_cuda_and_its_packages_of_nvidia(self):
        """Of those of NVIDIA, the two that libtorch_cpu.so loads are needed; the system may have them too."""
        for cuda, folder in [("13.0", "cu13"), ("12.6", "cuda_runtime")]:
            shutil.rmtree(self.place / "torch", ignore_errors=True)
            self.torch("2.11.0+cu", cuda=cuda)
            self.program("#!/bin/sh\necho began\n")
            major = cuda[:2]
            suffix = "-cu12" if major == "12" else ""
            self.refused(f"finds no libcudart.so.{major}", f"pip install nvidia-cuda-runtime{suffix}, or the CPU build")
            there = self.place / "nvidia" / folder / "lib"
            there.mkdir(parents=True)
            (there / f"libcudart.so.{major}").touch()
            self.refused(f"finds no libcupti.so.{major}", f"pip install nvidia-cuda-cupti{suffix}, or the CPU build")
            (there / f"libcupti.so.{major}").touch()
            self.assertEqual(self.call().stdout, "began\n")

    def test_no_glibc(self):
        # As the kernel says of a program whose dynamic linker is not there.
        self.program("#!/lib64/no-linux-x86-64.so.2\n")
        self.torch("2.11.0+cpu")
        self.refused("this system has no glibc")

    def test_it_becomes_the_program(self):
        self.program('#!/bin/sh\necho "$1|$2|$LD_LIBRARY_PATH|$SGAS_PYTHON"\nexit 7\n')
        self.torch("2.11.0+cu130")
        library = self.place / "torch" / "lib"
        result = self.call(LD_LIBRARY_PATH="/before")
        self.assertEqual((result.returncode, result.stdout), (7, f"a|b c|{library}:/before|{sys.executable}\n"))
        self.assertIn("|/my/python", self.call(SGAS_PYTHON="/my/python").stdout)
