"""Counts which cases of the published conformance lists are named by tests: `python -m tests.conformance.coverage`.

The lists are in the folder that $POSTERN_CONFORMANCE names, or in ../shared/reference/conformance.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.published import folder

ROOT = Path(__file__).resolve().parents[2]


def named() -> dict[str, list[str]]:
    """Case -> files of the tests that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.conformance"):
                continue
            for one in node.args:
                assert isinstance(one, ast.Constant) and isinstance(one.value, str), (
                    f"{path}: names have to be written out"
                )
                found.setdefault(one.value, []).append(str(path.relative_to(ROOT)))
    return found


def cases(file: Path) -> dict[str, str]:
    """Case -> protocol."""
    rows = [line.split("\t") for line in file.read_text().splitlines() if line]
    return {row[1]: row[0] for row in rows}


def main() -> int:
    """Print a table; 1 if a test names a case that no list has."""
    covered, known, lists = named(), set(), folder("POSTERN_CONFORMANCE", "conformance")
    if lists is None:
        print("The lists are not at hand; name their folder in POSTERN_CONFORMANCE.")
        return 1
    for file in sorted(lists.glob("*.tsv")):
        rows = cases(file)
        known |= set(rows)
        for protocol in sorted(set(rows.values())):
            mine = [name for name, of in rows.items() if of == protocol]
            done = sum(name in covered for name in mine)
            if done:
                print(f"{protocol:16} {done:4} of {len(mine):4}  {100 * done // len(mine):3} %")
        done = sum(name in covered for name in rows)
        print(f"{file.stem:16} {done:4} of {len(rows):4}  {100 * done // len(rows):3} %")
    unknown = sorted(set(covered) - known)
    for name in unknown:
        print(f"no list has {name}: {', '.join(covered[name])}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
