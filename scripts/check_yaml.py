"""Checks that YAML files parse and that a compose file's services refer to what it declares."""

import pathlib
import sys

import yaml


class Strict(yaml.SafeLoader):
    """Refuses a key that is written twice, which YAML forbids and PyYAML lets through."""

    def construct_mapping(self, node, deep=False):
        written = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in written]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"key written twice: {', '.join(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def compose_problems(compose):
    """Yields a sentence for each reference to a service, volume or secret that is not declared."""
    services = compose.get("services", {})
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            if other not in services:
                yield f"service {name} depends on {other}, which is not declared"
        for secret in service.get("secrets", []):
            if secret not in compose.get("secrets", {}):
                yield f"service {name} uses secret {secret}, which is not declared"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not source.startswith((".", "/")) and source not in compose.get("volumes", {}):
                yield f"service {name} uses volume {source}, which is not declared"
        if "image" not in service and "build" not in service:
            yield f"service {name} has neither image nor build"


def main(paths):
    problems = []
    for path in map(pathlib.Path, paths):
        try:
            documents = list(yaml.load_all(path.read_text(), Strict))
        except yaml.YAMLError as error:
            problems.append(f"{path}: {error}")
            continue
        if path.name == "compose.yml":
            problems += [f"{path}: {problem}" for problem in compose_problems(documents[0])]
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
