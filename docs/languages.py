"""The site in two languages: hooks of properdocs, which `properdocs.yml` names.

A Chinese page has the Chinese navigation and the theme's Chinese texts. Its sections have the ids of the
English sections, so that a change of language stays at a section.
"""

import gettext
import re
from pathlib import Path, PurePosixPath
from typing import Any

from markdown.extensions.toc import slugify
from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import Files
from properdocs.structure.nav import Navigation
from properdocs.structure.pages import Page
from properdocs.utils import get_theme_dir
from translations import is_chinese, split_page, switch_language

CHINESE = "中文"  # the section of the navigation that holds the Chinese pages until they get their own
TEXTS = {  # of the theme, where it has no translation
    '<html lang="en"': '<html lang="zh-CN"',
    "Toggle navigation": "打开或关闭导航",
    "Toggle theme": "切换主题",
    ">Light<": ">浅色<",
    ">Dark<": ">深色<",
    ">Auto<": ">跟随系统<",
}


def on_config(config: ProperDocsConfig) -> None:
    """Add the Chinese navigation, which is the English one with other names."""
    config.nav = [*config.nav, {CHINESE: translate_navigation(config.nav, config.extra["chinese"])}]


def translate_navigation(part: Any, names: dict[str, str]) -> Any:
    """A navigation of English pages as one of Chinese pages; names without Chinese are an error."""
    if isinstance(part, str):
        return switch_language(part)
    if isinstance(part, list):
        return [translate_navigation(item, names) for item in part]
    return {names[name]: translate_navigation(item, names) for name, item in part.items()}


def on_nav(nav: Navigation, config: ProperDocsConfig, files: Files) -> Navigation:
    """Take the Chinese pages out again; a page finds its navigation through its ancestors."""
    english = [page for page in nav.pages if not is_chinese(page.file.src_uri)]
    chinese = nav.pages[len(english) :]
    english[-1].next_page = chinese[0].previous_page = None
    return Navigation(nav.items[:-1], english)


def on_page_markdown(markdown: str, page: Page, config: ProperDocsConfig, files: Files) -> str:
    """Give the headings of a Chinese page the ids of the English ones."""
    config.mdx_configs["toc"] = {}
    if not is_chinese(page.file.src_uri):
        return markdown
    english = (Path(config.docs_dir) / switch_language(page.file.src_uri)).read_text("utf-8")
    titles = [section.title for section in split_page(english) if section.level]
    remaining = iter(titles)
    config.mdx_configs["toc"] = {"slugify": lambda title, mark: slugify(next(remaining, title), mark)}
    ids = "|".join(re.escape(slugify(title, "-")) for title in titles)
    return re.sub(rf'^<a id="(?:{ids})"></a>\n+(?=#)', "", markdown, flags=re.MULTILINE)  # each id once


def on_page_context(context: dict[str, Any], page: Page, config: ProperDocsConfig, nav: Navigation) -> None:
    """Link the page in the other language; give Chinese pages the texts and the navigation."""
    context["translation"] = PurePosixPath(switch_language(page.file.src_uri)).with_suffix(".html").name
    if context.setdefault("chinese", is_chinese(page.file.src_uri)):
        context["nav"] = Navigation(page.ancestors[-1].children, [])
        context["nav"].homepage = page.ancestors[-1].children[0]
        folder = Path(get_theme_dir(config.theme.name)) / "locales"
        context["gettext"] = gettext.translation("messages", folder, ["zh_CN"]).gettext


def on_post_page(output: str, page: Page, config: ProperDocsConfig) -> str:
    """Translate what the theme has in English only."""
    for english, chinese in TEXTS.items() if is_chinese(page.file.src_uri) else ():
        output = output.replace(english, chinese)
    return output


def on_post_build(config: ProperDocsConfig) -> None:
    """Make a script of the search index: a page that was opened from the disk may not read other files."""
    index = Path(config.site_dir) / "search/search_index.json"
    index.with_suffix(".js").write_text(f"const searchIndex = {index.read_text('utf-8')};\n", "utf-8")
    index.unlink()
    index.with_name("worker.js").unlink()  # of the search that docs/theme/search/main.js replaces
