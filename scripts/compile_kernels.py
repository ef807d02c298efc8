#!/usr/bin/env python3
"""Compiles the kernels for CUDA (src/tensor/bridge/native) for every architecture that libtorch 2.11 serves, by NVIDIA's
NVRTC, which needs no GPU. It is fetched from PyPI, once (90 MB).

    compile_kernels.py FOLDER      the folder that keeps NVRTC

The exit code is 1 where a kernel does not compile; where NVRTC can't be had the reason is told as that of a skipped test.
"""

import ctypes
import re
import sys
import tempfile
from pathlib import Path

from setup_libtorch import ROOT, download, fail, unpack

WHEEL = "nvidia-cuda-nvrtc==13.0.88"
LIBRARY, BUILTINS = "nvidia/cu13/lib/libnvrtc.so.13", "nvidia/cu13/lib/libnvrtc-builtins.so.13.0"
ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
KERNELS = ROOT / "src" / "tensor" / "bridge"


def source():
    """What the program gives to NVRTC: the files that native.rs joins, in its order."""
    names = re.findall(r'include_str!\("(native/[^"]+)"\)', (KERNELS / "native.rs").read_text())
    return "".join((KERNELS / name).read_text() for name in names).encode()


def nvrtc(folder):
    if not (folder / LIBRARY).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            unpack(download([WHEEL], Path(name)), [BUILTINS, LIBRARY], Path(name) / "new")
            (Path(name) / "new" / "nvidia").rename(folder / "nvidia")
    # NVRTC opens it by its name alone.
    ctypes.CDLL(str(folder / BUILTINS), ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(folder / LIBRARY))


def compile_for(library, text, architecture):
    """Why the source does not compile; nothing where it does."""
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), text, b"sgas.cu", 0, None, None)
    options = (ctypes.c_char_p * 2)(f"--gpu-architecture={architecture}".encode(), b"--std=c++17")
    if library.nvrtcCompileProgram(program, len(options), options) == 0:
        return ""
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    return log.value.decode()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        library = nvrtc(Path(sys.argv[1]).absolute())
    except (SystemExit, OSError) as reason:
        print(f"skipped: the kernels for CUDA were not compiled, because NVRTC is not there: {reason}")
        return
    text = source()
    for architecture in ARCHITECTURES:
        log = compile_for(library, text, architecture)
        if log:
            fail(f"the kernels do not compile for {architecture}:\n{log}", "mend src/tensor/bridge/native")
    print(f"the kernels compile for {', '.join(ARCHITECTURES)}")


if __name__ == "__main__":
    main()
