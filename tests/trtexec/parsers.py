"""Three ways in which programs read a log of trtexec, written anew after public ones: by sections of `key: value`,
by searching a metric and its statistic, and as shell scripts do, by the shape of a line and the words in it."""
import re

STAMP = re.compile(r"\[\d+/\d+/\d+-\d+:\d+:\d+\] \[([FEWIV])\] ?(.*)")
NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
METRICS = ["Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency"]
SCALARS = {"Throughput": "qps", "Total Host Walltime": "s", "Total GPU Compute Time": "s"}


def by_sections(text):
    """{section: {key: value}}; a section ends at a line that is not `key: value`, as engine explorers have it."""
    sections, present = {}, None
    for line in text.splitlines():
        match = STAMP.match(line)
        title = re.search(r"=== (.+) ===", line)
        if title:
            present = sections.setdefault(title.group(1), {})
        elif not match or match.group(1) != "I" or ":" not in match.group(2):
            present = None
        elif present is not None:
            key, value = match.group(2).split(":", 1)
            present[key] = value.strip()
    summary = sections["Performance summary"]
    for key in SCALARS:
        summary[key] = float(summary[key].split()[0])
    for key in METRICS:
        summary[key] = [float(part.split("=")[1].split()[0]) for part in summary[key].split(",")]
    return sections


def by_search(text):
    """{metric: number}: a regular expression for each, none of which takes an exponent."""
    found = {}
    for name in METRICS:
        for statistic in ("min", "max", "mean", "median", "percentile(90%)", "percentile(95%)", "percentile(99%)"):
            match = re.search(rf"^\[[^]]*\] \[I\] {name}:.*?\b{re.escape(statistic)}\s*=\s*{NUMBER}\s*ms", text, re.M)
            found[name, statistic] = float(match.group(1))
    for name, unit in SCALARS.items():
        found[name] = float(re.search(rf"{name}:\s*{NUMBER}\s*{unit}\b", text).group(1))
    found["ready"] = float(re.search(rf"Engine (?:built|deserialized) in\s+{NUMBER}\s+sec", text).group(1))
    found["queries"], seconds = re.search(rf"Timing trace has (\d+) queries over {NUMBER} s", text).groups()
    found["queries"], found["seconds"] = int(found["queries"]), float(seconds)
    return found


def by_words(text):
    """Lines picked out by a shape, then words by their number, as grep and awk do."""
    averages = [line.split() for line in text.splitlines() if re.search(r"Average on \d+ runs - GPU latency", line)]
    compute = [line for line in text.splitlines() if re.search(r"GPU Compute Time: min.*ms$", line)][-1].split()
    shapes = re.findall(r"(Input|Output) binding for (\S+) with dimensions ([0-9x]+) is created", text)
    verdict = re.search(r"^&&&& (PASSED|FAILED|WAIVED) TensorRT\.trtexec .*# (.*)$", text, re.M)
    return {
        "averages": [(float(w[9]), float(w[14]), float(w[17])) for w in averages],
        "mean": float(compute[15]),
        "shapes": shapes,
        "verdict": verdict.group(1),
        "command": verdict.group(2),
        "running": bool(re.match(r"&&&& RUNNING TensorRT\.trtexec \[\w+ v[0-9.]+\] # trtexec ", text)),
    }
