#!/usr/bin/env python3
"""Whole-request CPU at 10, 1,000 and 10,000 routes: ./run.sh routes [E EL EC] [--rounds N] [--dur s] [--limit percent]

E: so many virtual hosts; EL: so many prefix routes on one host; EC: so many hosts with a cluster each. One Lateen runs for
each number, and a twin of the smallest; all are up for the whole measurement and take short turns on core 0 in an order
drawn anew each round, so that whatever else the machine does falls on all of them. The headline is the median of the
in-round ratios to the smallest. It may differ from 1 by the limit, or by the spread of the twin's ratios (half of what lies
between the quarter and the three quarters of them, and how far their median is from 1) if that is more."""
import argparse, json, os, random, re, statistics, subprocess, sys, tempfile, time

BENCH = os.path.dirname(os.path.abspath(__file__))
LATEEN = os.environ.get("LATEEN", os.path.join(BENCH, "../../build/lateen"))
COUNTS = (10, 1000, 10000)
PROXY_CORE, LOAD_CORE = "0", "1"
FIRST_PORT = 8000
START_SECONDS_MAX = 180


class Subject:
    """One Lateen with `count` routes on a port of its own."""

    def __init__(self, kind, count, name, port, folder):
        self.count, self.name, self.port = count, name, port
        folder = os.path.join(folder, name)
        os.mkdir(folder)
        scenario = f"{kind}{count}"
        subprocess.run([sys.executable, f"{BENCH}/gen.py", "lateen", scenario, folder, str(port)], check=True)
        self.requests = os.path.join(folder, "requests")
        with open(self.requests, "w") as out:
            out.write("".join(self.texts(kind, count)))
        self.log = open(os.path.join(folder, "log"), "w+")
        self.process = subprocess.Popen(
            ["taskset", "-c", PROXY_CORE, LATEEN, "run", "-f", f"{folder}/mesh.yaml", "--concurrency", "1", "--admin", "127.0.0.1:0",
             "--http-proxy", "127.0.0.1:0", "--state", f"{folder}/state"], stdout=self.log, stderr=self.log)

    @staticmethod
    def texts(kind, count):
        numbers = list(range(count)) if kind != "EC" else list(range(0, count, max(1, count // 100)))
        random.Random(7).shuffle(numbers)
        for i in numbers:
            host = "all.example.com" if kind == "EL" else f"host-{i:05}.example.com"
            yield f"GET /svc/{i:05}/item HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lg/1\r\nAccept: */*\r\n\r\n\0"

    def load(self, seconds, warm):
        out = subprocess.check_output(["taskset", "-c", LOAD_CORE, f"{BENCH}/bin/lg", "-a", str(self.port), "-c", "64", "-q", self.requests,
                                       "-d", str(seconds), "-w", str(warm), "-p", str(self.process.pid)], timeout=60)
        return json.loads(out)

    def wait(self):
        """Until every route answers: a window without a refused request."""
        until = time.time() + START_SECONDS_MAX
        while time.time() < until:
            if self.process.poll() is not None:
                break
            try:
                sample = self.load(0.2, 0.3)
                if sample["ok"] > 0 and sample["bad"] == 0 and sample["err"] == 0:
                    return
            except (subprocess.SubprocessError, ValueError):
                pass
            time.sleep(0.5)
        self.log.seek(0)
        sys.exit(f"{self.name} does not serve: {self.log.read()[-600:]}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def set_priority(high):
    try:
        with open("/proc/self/autogroup", "w") as out:
            out.write(os.environ.get("BENCH_PRIO", "-20") if high else "0")
    except OSError:
        pass


def measure(kind, options):
    """{name: [microseconds a request of each round]}"""
    names = [(count, str(count)) for count in COUNTS] + [(COUNTS[0], f"{COUNTS[0]}@2")]
    with tempfile.TemporaryDirectory(prefix="routes.", dir="/dev/shm") as folder:
        subjects = []
        try:
            for i, (count, name) in enumerate(names):
                subjects.append(Subject(kind, count, name, FIRST_PORT + i, folder))
            for subject in subjects:
                subject.wait()
            samples = {subject.name: [] for subject in subjects}
            for _ in range(options.rounds):
                random.shuffle(subjects)
                for subject in subjects:
                    set_priority(True)
                    sample = subject.load(options.dur, options.warm)
                    set_priority(False)
                    if sample["bad"] or sample["err"]:
                        sys.exit(f"{kind}{subject.name}: {sample['bad']} bad answers, {sample['err']} errors")
                    samples[subject.name].append(sample["cpu_ns"] / 1e3 / sample["ok"])
            return samples
        finally:
            for subject in subjects:
                subject.stop()


def report(kind, samples, limit):
    """Prints the line; whether it is within the limit."""
    base = samples[str(COUNTS[0])]
    ratios = {name: sorted(a / b for a, b in zip(values, base)) for name, values in samples.items()}
    twin = ratios[f"{COUNTS[0]}@2"]
    quarter, median, three_quarters = statistics.quantiles(twin, n=4)
    allowed = max(limit / 100, abs(median - 1) + (three_quarters - quarter) / 2)
    text, good = f"{kind:3} {statistics.median(base):7.2f} us", True
    for name, values in ratios.items():
        if name == str(COUNTS[0]):
            continue
        median = statistics.median(values)
        text += f"   {name:>6}: {median:.3f} [{values[0]:.2f}..{values[-1]:.2f}]"
        good = good and abs(median - 1) <= allowed
    print(text + f"   allowed {100 * allowed:.1f} %   {'ok' if good else 'DIFFERS'}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="E|EL|EC", help="default: E EL")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--dur", type=float, default=0.8, help="seconds of a turn")
    parser.add_argument("--warm", type=float, default=0.3)
    parser.add_argument("--limit", type=float, default=5, help="percent")
    options = parser.parse_args()
    upstream = subprocess.Popen(["taskset", "-c", LOAD_CORE, f"{BENCH}/bin/upstream", "-c", f"{BENCH}/certs/up.crt", "-k", f"{BENCH}/certs/up.key",
                                 "-A", f"{BENCH}/certs/ca.crt", "9001:v1"])
    try:
        print(f"CPU a request with {COUNTS[0]} routes, and ratios to it: median [least..most] of {options.rounds} rounds")
        results = [report(kind, measure(kind, options), options.limit) for kind in options.kinds or ["E", "EL"]]
    finally:
        upstream.terminate()
        upstream.wait()
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
