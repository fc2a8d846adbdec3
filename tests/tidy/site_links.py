"""A hook of MkDocs: links from a page to files outside docs/ lead to the repository."""

import posixpath
import re

LINK = re.compile(r"\]\((?P<to>\.\./[^)\s]+)\)")


def on_page_markdown(markdown, page, config, **_):
    """The page with such links rewritten; others are MkDocs' business."""
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))

    def outside(found):
        path = posixpath.normpath(posixpath.join(folder, found["to"]))
        if path.startswith("docs/"):
            return found[0]
        return f"]({config['repo_url']}/blob/main/{path})"

    return LINK.sub(outside, markdown)
