#!/usr/bin/env python3
"""Looks at a report of `sgas report` in a headless Chromium, by the keyboard and by its DevTools protocol.

    browser.py check PAGE --shots DIR       # what must hold of every page; screenshots light, dark, narrow, printed
    browser.py shot PAGE OUT.png [--dark] [--width N] [--height N] [--selector CSS] [--before JAVASCRIPT]

The browser is `chromium` on PATH, or SGAS_CHROMIUM. It is spoken to through a pipe, so nothing but the standard library
is needed and no port is opened. `check` prints a JSON object and ends with 1 where something does not hold.
"""

import argparse
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60.0
NARROW = 390


def find():
    """The browser's program, or none."""
    named = os.environ.get("SGAS_CHROMIUM")
    if named:
        return named
    return next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, program):
        self.profile = tempfile.TemporaryDirectory(prefix="sgas-browser-")
        read, their_write = os.pipe()
        their_read, write = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-extensions", "--disable-background-networking", "--hide-scrollbars",
                 "--remote-debugging-pipe", f"--user-data-dir={self.profile.name}", "about:blank"]
        line = f'exec "$@" 3<&{their_read} 4>&{their_write}'
        self.process = subprocess.Popen(["bash", "-c", line, "--", program, *flags], pass_fds=(their_read, their_write),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(their_read)
        os.close(their_write)
        self.read, self.write = read, write
        self.buffer = b""
        self.number = 0
        self.session = None
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    def close(self):
        """Ends the browser and removes its profile."""
        os.close(self.write)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read)
        for _ in range(20):
            try:
                self.profile.cleanup()
                return
            except OSError:
                time.sleep(0.1)

    def message(self, deadline):
        """The next message of the browser."""
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            more = os.read(self.read, 1 << 20)
            if not more:
                raise RuntimeError("the browser ended")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def send(self, method, **parameters):
        """Calls a method and gives its result; events that come meanwhile are kept."""
        self.number += 1
        call = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            call["sessionId"] = self.session
        os.write(self.write, json.dumps(call).encode() + b"\0")
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self.message(deadline)
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def open(self, page, dark=False, width=1280, height=900):
        """Opens a page of this width and waits until it is drawn."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.events.clear()
        self.send("Page.navigate", url=pathlib.Path(page).resolve().as_uri())
        deadline = time.monotonic() + TIMEOUT
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            message = self.message(deadline)
            if "method" in message:
                self.events.append(message)
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def value(self, expression):
        """What an expression of JavaScript gives."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def press(self, key):
        """Presses a key."""
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35, "Tab": 9}
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key])

    def complaints(self):
        """What the page complained of: errors and warnings on the console, exceptions, refused loads."""
        found = []
        for event in self.events:
            method, told = event["method"], event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(told["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(told["args"]))
            elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(told["entry"]["text"])
        return found

    def requests(self):
        """Addresses that the page asked for."""
        sent = [event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [address[:80] for address in sent if not address.startswith("data:")]

    def shot(self, path, selector=None, whole=True):
        """A picture of the page, or of an element."""
        clip = {}
        if selector:
            box = self.value(f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                             "return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}; })()")
            clip = {"clip": {**box, "scale": 1}}
        elif whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 15000), "scale": 1}}
        picture = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=bool(clip), **clip)
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))


SLIDER = "document.querySelector('.growth .slider')"
STATE = f"""(() => {{
  const slider = {SLIDER};
  if (!slider) return null;
  const growth = slider.closest('.growth');
  const shown = [...growth.querySelectorAll('.frame')].map((frame, at) =>
    getComputedStyle(frame).display !== 'none' ? at : -1).filter(at => at >= 0);
  return {{ value: Number(slider.value), shown, told: slider.getAttribute('aria-valuetext'),
            moment: growth.querySelector('.moment').textContent, frames: Number(slider.max) }};
}})()"""
# Canvases that are drawn: some pixel is not the first one's colour.
DRAWN = """(selector => [...document.querySelectorAll(selector)].map(canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  for (let at = 4; at < data.length; at += 4)
    if (data[at] !== data[0] || data[at + 1] !== data[1] || data[at + 3] !== data[3]) return true;
  return false;
}))"""


def check(browser, page, shots):
    """What does not hold of the page, and what was seen."""
    faults, seen = [], {}

    def demand(holds, what):
        if not holds:
            faults.append(what)

    def look(name):
        complaints = browser.complaints()
        demand(not complaints, f"{name}: the page complains: {complaints}")
        others = [address for address in browser.requests() if not address.startswith("file:")]
        demand(not others, f"{name}: the page asks for {others}")
        wide = browser.value("document.documentElement.scrollWidth - innerWidth")
        demand(wide <= 0, f"{name}: the page is {wide} pixels wider than its window")

    browser.open(page)
    seen["title"] = browser.value("document.title")
    state = browser.value(STATE)
    if state:
        last = state["frames"]
        demand(state["shown"] == [last], f"the last moment is shown first: {state}")
        browser.value(f"{SLIDER}.focus()")
        browser.press("Home")
        first = browser.value(STATE)
        demand(first["shown"] == [0] and first["value"] == 0, f"Home shows the first moment: {first}")
        browser.shot(shots / "first.png", ".growth")
        browser.press("ArrowRight")
        second = browser.value(STATE)
        demand(second["shown"] == [1] and second["moment"] != first["moment"], f"the slider moved by a key: {second}")
        demand(second["told"] == second["moment"], f"the slider tells what is shown: {second}")
        browser.value("document.querySelectorAll('.growth .step')[0].click()")
        demand(browser.value(STATE)["shown"] == [0], "the button goes back")
        browser.value(f"{SLIDER}.value = 1; {SLIDER}.dispatchEvent(new Event('input'))")
        demand(browser.value(STATE)["shown"] == [1], "the slider moved by the mouse")
        browser.value("location.reload()")
        browser.open(page)
        demand(browser.value(STATE)["shown"] == [1], "a page that is loaded again stands where it stood")
        browser.value(f"{SLIDER}.focus()")
        browser.press("End")
        seen["moments"] = last + 1
    for name, selector in [("curves", ".plot canvas"), ("maps", ".map canvas"), ("clouds", ".clouds canvas")]:
        drawn = browser.value(f"{DRAWN}({json.dumps(selector)})")
        seen[name] = len(drawn)
        # A map may be of one colour.
        demand(name == "maps" or all(drawn), f"{name} that are empty: {drawn}")
    if seen["clouds"]:
        pixels = "document.querySelector('.clouds canvas').toDataURL()"
        before = browser.value(pixels)
        browser.value("document.querySelector('.clouds canvas').focus()")
        browser.press("ArrowLeft")
        demand(browser.value(pixels) != before, "an arrow key turns a cloud")
        if browser.value("!!document.querySelector('.colours')"):
            before = browser.value(pixels)
            browser.value("document.querySelector('.colours input[value=errors]').click()")
            demand(browser.value(pixels) != before, "points change their colours")
    demand(browser.value("[...document.querySelectorAll('img')].every(image => image.naturalWidth > 0 && image.alt)"),
           "pictures are there and have a text")
    seen["pictures"] = browser.value("document.querySelectorAll('.pictures img').length")
    names = browser.value("[...document.querySelectorAll('[id]')].map(one => one.id)")
    demand(len(names) == len({*names}), "every identifier is there once")
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"image", "img", "slider", "button", "radio", "table", "region", "figure", "link"}
    for node in tree:
        role = node.get("role", {}).get("value")
        has_name = bool(node.get("name", {}).get("value"))
        if role in roles - {"figure"} and not node.get("ignored") and not has_name:
            faults.append(f"a {role} has no name: {json.dumps(node)[:300]}")
    headings = browser.value("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1]))")
    demand(headings[:1] == [1] and headings.count(1) == 1, f"one heading of the first level comes first: {headings}")
    demand(all(after <= before + 1 for before, after in zip(headings, headings[1:])), f"no level is left out: {headings}")
    look("light")
    browser.value("document.activeElement.blur()")
    browser.shot(shots / "light.png")
    browser.open(page, dark=True)
    look("dark")
    browser.shot(shots / "dark.png")
    demand(browser.value("getComputedStyle(document.body).backgroundColor") != "rgb(244, 246, 249)", "dark is dark")
    browser.open(page, width=NARROW, height=844)
    look("narrow")
    browser.shot(shots / "narrow.png")
    browser.open(page, dark=True)
    browser.send("Emulation.setEmulatedMedia", media="", features=[])
    paper = browser.send("Page.printToPDF", printBackground=True, preferCSSPageSize=False)
    (shots / "printed.pdf").write_bytes(base64.b64decode(paper["data"]))
    look("printed")
    return faults, seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("check")
    one.add_argument("page")
    one.add_argument("--shots", type=pathlib.Path, required=True)
    one = commands.add_parser("shot")
    one.add_argument("page")
    one.add_argument("out")
    one.add_argument("--dark", action="store_true")
    one.add_argument("--width", type=int, default=1280)
    one.add_argument("--height", type=int, default=900)
    one.add_argument("--selector")
    one.add_argument("--before", default="", help="JavaScript to run first")
    options = parser.parse_args()
    program = find()
    if not program:
        sys.exit("no chromium on PATH; SGAS_CHROMIUM may name one")
    browser = Browser(program)
    try:
        if options.command == "shot":
            browser.open(options.page, options.dark, options.width, options.height)
            if options.before:
                browser.value(options.before)
                browser.value("new Promise(done => setTimeout(() => done(1), 700))")
            browser.shot(options.out, options.selector, whole=False)
            return
        options.shots.mkdir(parents=True, exist_ok=True)
        faults, seen = check(browser, options.page, options.shots)
        print(json.dumps({"seen": seen, "faults": faults}, indent=1))
        sys.exit(1 if faults else 0)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
