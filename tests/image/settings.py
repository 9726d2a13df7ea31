"""Compares an image's settings, as 'buildah inspect' writes them, with what the image is to have.

settings.py FILE VERSION; exit code 1 and a line for each difference.
"""

import json
import sys

with open(sys.argv[1]) as file:
    found = json.load(file)["Docker"]["config"]
seconds = 1_000_000_000
labels = found.get("Labels") or {}
wanted = {
    "User": "65532:65532",
    "Entrypoint": ["/mecha"],
    "Cmd": ["serve"],
    "Volumes": {"/data": {}},
    "ExposedPorts": {"21212/tcp": {}},
}
differences = [
    f"{name} is {found.get(name)!r}, not {value!r}"
    for name, value in wanted.items()
    if found.get(name) != value
]
for variable in ("MECHA_ADDR=0.0.0.0:21212", "MECHA_DATA=/data"):
    if variable not in found["Env"]:
        differences.append(f"Env is {found['Env']!r} without {variable}")
check = found.get("Healthcheck") or {}
if check.get("Test") != ["CMD", "/mecha", "health"] or check.get("Timeout", 0) <= 5 * seconds:
    # 'mecha health' itself gives up after 5 s, and says why.
    differences.append(f"Healthcheck is {check!r}")
if labels.get("org.opencontainers.image.version") != sys.argv[2]:
    differences.append(f"Labels are {labels!r}, without version {sys.argv[2]}")
for name in ("title", "description", "licenses"):
    if not labels.get(f"org.opencontainers.image.{name}"):
        differences.append(f"Labels are {labels!r}, without {name}")
print("\n".join(differences), end="\n" if differences else "")
sys.exit(1 if differences else 0)
