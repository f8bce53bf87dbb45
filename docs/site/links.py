"""Checks the links of a built site without a network: every file, page and heading that a page names is there."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["broken_links"]

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "video": "src"}


class _Page(HTMLParser):
    """The links of a page, and the names of the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids, names and links of one tag."""
        given = dict(attrs)
        self.places |= {value for key in ("id", "name") if (value := given.get(key))}
        if target := given.get(LINKS.get(tag, "")):
            self.links.append(target)


def broken_links(site: Path) -> list[str]:
    """Links of all pages to files or places of the site that do not exist, as "page: link".

    Links to other sites are not followed.
    """
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            target = target / "index.html" if target.is_dir() else target
            place = unquote(parts.fragment)
            there = target.is_relative_to(site.resolve()) and target.is_file()
            known = pages.get(site / target.relative_to(site.resolve())) if there else None
            if not there or (place and known is not None and place not in known.places):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken
