"""Holds every example of an OpenAPI document to the schema that it stands beside.

    python examples.py DOCUMENT
"""

import json
import sys

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012


def examples(node, place=""):
    """Each example with the place of its schema, as a JSON pointer."""
    if isinstance(node, dict) and "schema" in node and not place.endswith("/properties"):
        found = [node["example"]] if "example" in node else []
        found += [example["value"] for example in node.get("examples", {}).values()]
        yield from ((f"{place}/schema", example) for example in found)
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, part in parts:
        yield from examples(part, f"{place}/{str(key).replace('~', '~0').replace('/', '~1')}")


with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
registry = Registry().with_resource("urn:document", DRAFT202012.create_resource(document))
count = 0
for place, example in examples(document):
    count += 1
    validator = Draft202012Validator(
        {"$ref": f"urn:document#{place}"},
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    for error in validator.iter_errors(example):
        sys.exit(f"{place}: {error.message}")
if count < 50:
    sys.exit(f"only {count} examples were found")
print(f"{count} examples hold to their schemas")
