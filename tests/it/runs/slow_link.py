"""Two TUN devices with a slow link between them: slow_link.py ONE OTHER MILLISECONDS LOST

Packets arrive so many milliseconds later, and one of LOST packets does not. Says `ready` when both devices are there, and
serves until it is ended.
"""

import collections
import fcntl
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def device(name):
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return file


def main():
    one, other = device(sys.argv[1]), device(sys.argv[2])
    delay, lost = float(sys.argv[3]) / 1000, int(sys.argv[4])
    draws = random.Random(1)
    waiting = collections.deque()
    print("ready", flush=True)
    while True:
        rest = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for file in select.select([one, other], [], [], rest)[0]:
            packet = os.read(file, 65536)
            if draws.randrange(lost) != 0:
                waiting.append((time.monotonic() + delay, other if file == one else one, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, file, packet = waiting.popleft()
            try:
                os.write(file, packet)
            except OSError:
                # The device is down: the packet is lost.
                pass


main()
