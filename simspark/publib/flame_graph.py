"""A sampling profile as one picture: a self-contained SVG with a little script in it.

Width is time. The top row is everything, below it are the stages and the driver, below them the functions, each under
its caller, the busiest at the left. Colour says whose code a frame is. Without the script, as in a document, the
picture is whole and every frame has its tooltip; in a browser a click zooms in, and a search paints what it finds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from html import escape
from re import compile as pattern

from simspark.publib.sampling_profile import BusyLine, Folded, Place, Profile, busiest_lines
from simspark.publib.stack_sampler import ENGINE, LIBRARY, USER

WIDTH = 1200
MARGIN = 16
INNER = WIDTH - 2 * MARGIN
TOP = 112
ROW = 20
CHARACTER = 6.65
"""Of the 11 pixel fixed-width font in frames."""
_NOT_IN_XML = pattern("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LEAST_WIDTH = 0.3
LEAST_TEXT_WIDTH = 24
BUSY_LINES = 8
HEADINGS = ("your code", "libraries that it calls", "simspark")
COLOURS = {
    "all": ("#2b3442",), "stage": ("#46566b", "#4e5f76"), "driver": ("#6f5a86",), ENGINE: ("#c4cad2", "#cdd2d9"),
    LIBRARY: ("#9cc7d8", "#a9d0de", "#93bfd3", "#b2d3df"),
    USER: ("#f6a04d", "#f8b15e", "#f39240", "#fabd6c", "#ee8a4a", "#f5a860"),
}  # fmt: skip


class Node:
    """A frame of the picture: a function below one caller."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.samples = 0
        self.own = 0
        self.lines: Counter[int] = Counter()
        self.children: dict[Place, Node] = {}

    def below(self) -> list[Node]:
        """What it calls, the busiest first; stages stand in their own order."""
        if self.place.kind == "all":
            return sorted(self.children.values(), key=lambda node: node.place.kind == "driver")
        return sorted(self.children.values(), key=lambda node: (-node.samples, node.place))


def tree(stacks: Sequence[Folded]) -> Node:
    """The stacks put together from their roots on."""
    top = Node(Place("all", "", 0, "all"))
    for each in stacks:
        node = top
        node.samples += each.samples
        for step in each.steps:
            node = node.children.setdefault(step.place, Node(step.place))
            node.samples += each.samples
            if step.line:
                node.lines[step.line] += each.samples
        node.own += each.samples
    return top


def flame_graph(profile: Profile, stacks: Sequence[Folded]) -> str:
    """The picture of a profile, of which ``stacks`` are shown."""
    top = tree(stacks)
    drawing = _Drawing(top.samples, profile.rate_hz)
    frames = [drawing.frame(node, x, depth) for node, x, depth in _placed(top, drawing.width_of)]
    bottom = TOP + drawing.rows * ROW
    busy = busiest_lines(stacks, BUSY_LINES)
    height = bottom + 44 + (34 + len(busy) * 20 if busy else 0)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" width="100%" height="{height}" {PLACED}>',
        f"<title>Where the time of {_xml(profile.name)} went</title>", f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" class="page"/>',
        *_header(profile, top.samples, stacks),
        f'<g id="frames" data-left="{MARGIN}" data-width="{INNER}" data-character="{CHARACTER}">', *frames, "</g>",
        f'<text id="details" class="small" x="{MARGIN}" y="{bottom + 22}">{HINT}</text>',
        *_busy_lines(busy, top.samples, profile.rate_hz, bottom + 58),
        f"<script><![CDATA[{SCRIPT}]]></script>", "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _placed(top: Node, width_of: Callable[[int], float]) -> Iterator[tuple[Node, float, int]]:
    """Every frame that is wide enough to be seen, with its left edge and its row."""
    waiting: list[tuple[Node, float, int]] = [(top, float(MARGIN), 0)]
    while waiting:
        node, x, depth = waiting.pop()
        yield node, x, depth
        for child in node.below():
            width = width_of(child.samples)
            if width >= LEAST_WIDTH:
                waiting.append((child, x, depth + 1))
            x += width


class _Drawing:
    """Draws frames, and knows how many rows they took."""

    def __init__(self, total: int, rate_hz: float) -> None:
        self._total = max(1, total)
        self._rate_hz = rate_hz
        self.rows = 1

    def width_of(self, samples: int) -> float:
        """How wide so many samples are."""
        return INNER * samples / self._total

    def frame(self, node: Node, x: float, depth: int) -> str:
        """One frame with its tooltip."""
        self.rows = max(self.rows, depth + 1)
        width, y = self.width_of(node.samples), TOP + depth * ROW
        name = _seconds(node.samples / self._rate_hz) if node.place.kind == "all" else str(node.place)
        shades = COLOURS[node.place.kind]
        shade = shades[sum(map(ord, node.place.name)) % len(shades)]
        text = _fitting(name, width)
        inside = f'<text x="{x + 4:.2f}" y="{y + 14}">{_xml(text)}</text>' if text else ""
        return (
            f'<g class="{node.place.kind}" data-name="{_xml(name)}"><title>{_xml(self._tooltip(node, name))}</title>'
            f'<rect x="{x:.3f}" y="{y}" width="{width:.3f}" height="{ROW - 1}" rx="2" fill="{shade}"/>{inside}</g>'
        )

    def _tooltip(self, node: Node, name: str) -> str:
        share = f"{100 * node.samples / self._total:.1f} %"
        time = _seconds(node.samples / self._rate_hz)
        said = [name, f"{share} of all, {time}, {node.samples:,} samples"]
        if node.place.file:
            said.append(node.place.file)
            said.append(f"{100 * node.own / node.samples:.0f} % of it in its own lines")
        if len(node.lines) > 1:
            busy = (f"{line} ({100 * times / node.samples:.0f} %)" for line, times in node.lines.most_common(4))
            said.append(f"busiest lines: {', '.join(busy)}")
        return "\n".join(said)


def _header(profile: Profile, total: int, stacks: Sequence[Folded]) -> Iterator[str]:
    yield f'<text class="heading" x="{MARGIN}" y="36">Where the time of {_xml(profile.name)} went</text>'
    yield f'<text class="small" x="{MARGIN}" y="60">{_xml(summary(profile))}</text>'
    own: Counter[str] = Counter()
    for each in stacks:
        own[each.steps[-1].place.kind] += each.samples
    x: float = MARGIN
    for kind, heading in zip((USER, LIBRARY, ENGINE), HEADINGS, strict=True):
        text = f"{heading} {100 * own[kind] / max(1, total):.0f} %"
        yield f'<rect x="{x:.1f}" y="77" width="13" height="13" rx="2" fill="{COLOURS[kind][0]}"/>'
        yield f'<text class="small" x="{x + 19:.1f}" y="88">{text}</text>'
        x += 44 + len(text) * 6.6


def summary(profile: Profile) -> str:
    """How much was seen of whom, for people."""
    tasks, driver = profile.total(), profile.total(driver=True)
    executors = len(profile.executors)
    return (
        f"{_seconds(tasks / profile.rate_hz)} of tasks on {executors} executor{'' if executors == 1 else 's'}, "
        f"{_seconds(driver / profile.rate_hz)} of the driver; "
        f"{tasks + driver:,} samples, {profile.rate_hz:g} a second"
    )


def _busy_lines(busy: Sequence[BusyLine], total: int, rate_hz: float, y: int) -> Iterator[str]:
    """The user's lines where the time went, with their source where it is here."""
    import linecache

    if not busy:
        return
    yield f'<text class="subheading" x="{MARGIN}" y="{y}">Your busiest lines, with what they call</text>'
    for number, line in enumerate(busy):
        base = y + 22 + number * 20
        width = 120 * line.samples / busy[0].samples
        source = linecache.getline(line.place.file, line.line).strip()
        where = f"{os.path.basename(line.place.file)}:{line.line}"
        cells = ((f"{100 * line.samples / max(1, total):.1f} %", MARGIN + 180, "end"),
                 (_seconds(line.samples / rate_hz), MARGIN + 245, "end"),
                 (_cut(where, 30), MARGIN + 265, "start"), (_cut(line.place.name, 26), MARGIN + 480, "start"),
                 (_cut(source, 74), MARGIN + 668, "start"))
        yield f'<rect x="{MARGIN}" y="{base - 10}" width="{width:.1f}" height="11" rx="2" fill="{COLOURS[USER][0]}"/>'
        yield from (f'<text class="cell" x="{x}" y="{base}" text-anchor="{anchor}">{_xml(text)}</text>'
                    for text, x, anchor in cells)


def _seconds(time_s: float) -> str:
    return f"{time_s:.1f} s" if time_s < 100 else f"{time_s:,.0f} s"


def _fitting(name: str, width: float) -> str:
    return "" if width < LEAST_TEXT_WIDTH else _cut(name, int((width - 6) / CHARACTER))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _xml(text: str) -> str:
    """Text inside elements and attributes; what XML cannot hold is a question mark."""
    return escape(_NOT_IN_XML.sub("?", text))


PLACED = 'xmlns="http://www.w3.org/2000/svg" preserveAspectRatio="xMidYMin" role="img"'
HINT = "Click a frame to zoom in, the top row to zoom out. Press / to search, Escape to clear."
STYLE = """
svg{max-width:1600px;display:block;margin:auto;background:#fbfbfa}
svg{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
.page{fill:#fbfbfa}.heading,.subheading{font-size:21px;font-weight:600;fill:#1d2430}.subheading{font-size:14px}
.small{font-size:12.5px;fill:#566070}
.cell,#frames text{font:11px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.cell{fill:#2b3442}#frames text{fill:#20262f;pointer-events:none}
#frames .all text,#frames .stage text,#frames .driver text{fill:#fff}
#frames g{cursor:pointer}#frames g:hover rect{stroke:#1d2430;stroke-width:1.2}
#frames .above rect{opacity:.55}#frames .hit rect{fill:#d964c9}
"""
SCRIPT = r"""
(function(){
const script=document.currentScript, svg=script&&script.ownerSVGElement||document.documentElement;
const NS="http://www.w3.org/2000/svg", drawn=svg.querySelector("#frames").dataset;
const LEFT=+drawn.left, INNER=+drawn.width, CHARACTER=+drawn.character;
const details=svg.querySelector("#details"), hint=details.textContent;
const frames=[...svg.querySelectorAll("#frames > g")].map(function(g){
  const rect=g.querySelector("rect");
  return {g:g, rect:rect, x:+rect.getAttribute("x"), w:+rect.getAttribute("width"), y:+rect.getAttribute("y"),
          name:g.dataset.name, text:g.querySelector("text"), said:g.querySelector("title").textContent};
});
function draw(f,x,w){
  f.rect.setAttribute("x",x); f.rect.setAttribute("width",w);
  const most=Math.floor((w-6)/CHARACTER);
  const shown=most<3?"":f.name.length<=most?f.name:f.name.slice(0,most-1)+"\u2026";
  if(!f.text&&shown){
    f.text=document.createElementNS(NS,"text");f.text.setAttribute("y",f.y+14);f.g.appendChild(f.text);
  }
  if(f.text){f.text.setAttribute("x",x+4);f.text.textContent=shown;}
}
function zoom(to){
  const scale=INNER/to.w, close=0.01;
  frames.forEach(function(f){
    const inside=f.y>=to.y&&f.x>=to.x-close&&f.x+f.w<=to.x+to.w+close;
    const above=f.y<to.y&&f.x<=to.x+close&&f.x+f.w>=to.x+to.w-close;
    f.g.style.display=inside||above?"":"none";
    f.g.classList.toggle("above",above);
    if(inside)draw(f,LEFT+(f.x-to.x)*scale,f.w*scale); else if(above)draw(f,LEFT,INNER);
  });
}
function search(text){
  let finds=null;
  try{finds=text?new RegExp(text,"i"):null;}catch(error){return;}
  let until=-1, share=0;
  frames.forEach(function(f){f.hit=finds!==null&&finds.test(f.name);f.g.classList.toggle("hit",f.hit);});
  frames.filter(f=>f.hit).sort((a,b)=>a.x-b.x||b.w-a.w).forEach(function(f){
    const from=Math.max(f.x,until), to=f.x+f.w;
    if(to>from){share+=to-from;until=to;}
  });
  details.textContent=finds?(100*share/INNER).toFixed(1)+" % of the time is in what was found":hint;
}
frames.forEach(function(f){
  f.g.addEventListener("click",function(){zoom(f);});
  f.g.addEventListener("mouseenter",function(){
    details.textContent=f.said.split("\n").slice(0,2).join("  \u00b7  ");
  });
});
const place=document.createElementNS(NS,"foreignObject");
[["x",LEFT+INNER-220],["y",74],["width",220],["height",28]].forEach(pair=>place.setAttribute(pair[0],pair[1]));
const input=document.createElementNS("http://www.w3.org/1999/xhtml","input");
input.setAttribute("placeholder","search");input.setAttribute("aria-label","search");
input.style.cssText="width:100%;box-sizing:border-box;font:13px system-ui,sans-serif;padding:3px 8px;"+
  "border:1px solid #b8bfc9;border-radius:6px;background:#fff;color:#1d2430";
place.appendChild(input);svg.insertBefore(place,script);
input.addEventListener("input",function(){search(input.value);});
document.addEventListener("keydown",function(event){
  if(event.key==="Escape"){input.value="";search("");zoom(frames[0]);}
  else if(event.key==="/"&&document.activeElement!==input){event.preventDefault();input.focus();}
});
})();
"""
