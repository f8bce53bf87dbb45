"""What holds for every page: it loads nothing from elsewhere, forbids it, and names no folder of the machine."""

import html
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote


class Loads(HTMLParser):
    """The policy of a page, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.policies: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "meta" and found.get("http-equiv", "").lower() == "content-security-policy":
            self.policies.append(found["content"])
        self.loads += [found[name] for name in ("src", "poster", "srcset", "data") if name in found]
        self.loads += [found["href"]] if tag == "link" else []


def check_page(path: Path, *folders: Path) -> None:
    """Fail where the page of a path breaks a rule; ``folders`` are those that its command was given."""
    text = path.read_text(encoding="utf-8")
    page = Loads(text)
    (policy,) = page.policies
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    sources = {source for rule in rules.values() for source in rule.split()}
    assert sources <= {"'none'", "'self'", "'unsafe-inline'", "data:"}, policy
    for loaded in page.loads:
        inside = not loaded or loaded.startswith("data:") or (path.parent / loaded).is_file()
        assert inside, f"{path.name} loads {loaded[:80]}"
    shown = unquote(html.unescape(re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)))  # which may spell anything
    for folder in {*folders, path.parent, Path(tempfile.gettempdir()), Path.home(), Path.cwd()}:
        for spelt in {str(folder), str(folder.absolute()), str(folder.resolve())} - {".", "/", "/root", "/home"}:
            if Path(spelt).is_absolute():
                assert f"{spelt}/" not in shown, f"{path.name} names {spelt}"
