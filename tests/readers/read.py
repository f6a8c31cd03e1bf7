"""Reads exports of dbdyno with the readers of others, and says as JSON what is in them. Whatever a reader refuses ends it with an error.

    read.py openmetrics FILE...      each by the parser of Prometheus' own client: {series: value}
    read.py junit XSD FILE...        each validated against the schema, then counted: {tests, failures, errors, cases}
"""

import json
import sys


def openmetrics(path):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    series = {}
    with open(path, encoding="utf-8", newline="") as file:
        for family in text_string_to_metric_families(file.read()):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                series[f"{sample.name}{{{labels}}}"] = sample.value
    return series


def junit(schema, path):
    import xmlschema

    schema.validate(path)
    suites = xmlschema.XMLResource(path).root
    suite = suites.find("testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors")}
    return {**counts, "cases": len(suite.findall("testcase"))}


def main(what, *files):
    if what == "openmetrics":
        return [openmetrics(path) for path in files]
    if what == "junit":
        import xmlschema

        schema = xmlschema.XMLSchema(files[0])
        return [junit(schema, path) for path in files[1:]]
    raise SystemExit(f"there is no reader of {what}")


json.dump(main(*sys.argv[1:]), sys.stdout)
