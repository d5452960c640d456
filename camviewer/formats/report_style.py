"""Style sheet and small drawings of the HTML report, in the colours of the program, light and dark."""

from __future__ import annotations

LIGHT = {
    "window": "#EFEFF1",
    "panel": "#FAFAFB",
    "canvas": "#D8D8DA",
    "line": "#E2E2E6",
    "text": "#1A1A1D",
    "text-2": "#494950",
    "text-3": "#5C5C64",
    "accent-line": "#3D55CC",
    "accent-soft": "#E2E7FB",
    "accent-text": "#3650C8",
    "ok": "#176B43",
    "ok-soft": "#DFF1E7",
    "warn": "#855300",
    "warn-soft": "#FAEBD0",
    "track": "#D2D2D7",
    "bar": "#84848D",
}
DARK = {
    "window": "#1B1B1D",
    "panel": "#222224",
    "canvas": "#141415",
    "line": "#303034",
    "text": "#EDEDEF",
    "text-2": "#B6B6BC",
    "text-3": "#9E9EA6",
    "accent-line": "#6E88FF",
    "accent-soft": "#2B3150",
    "accent-text": "#A3B4FF",
    "ok": "#66CBA0",
    "ok-soft": "#20352C",
    "warn": "#E8B768",
    "warn-soft": "#3A3122",
    "track": "#424247",
    "bar": "#7E7E87",
}


def _variables(table: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in table.items())


STYLE = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    """
*{box-sizing:border-box}
body{margin:0;background:var(--window);color:var(--text);font:13px/20px Inter,system-ui,-apple-system,"Segoe UI",
Roboto,sans-serif;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main,.top{max-width:1280px;margin:0 auto;padding:0 24px}
.top{padding-top:32px;padding-bottom:24px}
.brand{display:flex;flex-wrap:wrap;align-items:center;gap:8px;color:var(--text-2);font-size:12px;line-height:16px}
.brand svg{width:20px;height:20px}
h1{font-size:26px;line-height:34px;font-weight:600;margin:16px 0 4px;overflow-wrap:anywhere}
h2{font-size:15px;line-height:20px;font-weight:600;margin:0;overflow-wrap:anywhere}
h3{font-size:12px;line-height:16px;font-weight:600;margin:0 0 8px}
p{margin:0}
.quiet{color:var(--text-3);font-weight:400}
.banner{display:flex;gap:8px;align-items:flex-start;margin-top:16px;padding:8px 12px;border-radius:6px;
background:var(--warn-soft);color:var(--warn)}
.banner svg,.badge svg{flex:none;width:16px;height:16px;margin-top:2px}
.banner.ok{background:var(--ok-soft);color:var(--ok)}
.sums{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:24px 32px;margin-top:24px;padding:16px;
background:var(--panel);border-radius:8px}
dl{display:grid;grid-template-columns:auto 1fr;gap:4px 16px;margin:0;font-size:12px;line-height:16px}
dt{color:var(--text-2)}
dd{margin:0;overflow-wrap:anywhere}
dd.number,td.number{text-align:right}
article{margin:0 0 16px;padding:16px;background:var(--panel);border-radius:8px;content-visibility:auto;
contain-intrinsic-size:auto 420px;break-inside:avoid}
article header{display:flex;flex-wrap:wrap;align-items:center;gap:4px 12px;margin-bottom:12px}
.badge{display:inline-flex;gap:4px;align-items:center;padding:2px 10px 2px 8px;border-radius:12px;font-size:11px;
line-height:16px;font-weight:500;background:var(--warn-soft);color:var(--warn)}
.badge svg{margin:0;width:14px;height:14px}
.badge.reviewed{background:var(--ok-soft);color:var(--ok)}
.badge.plain{background:var(--accent-soft);color:var(--accent-text)}
.pictures{display:grid;gap:12px}
@media (min-width:720px){.pictures{grid-template-columns:repeat(3,minmax(0,1fr))}}
figure{margin:0;min-width:0}
figure>svg{display:block;width:100%;height:auto;border-radius:6px;background:var(--canvas)}
figcaption{display:flex;justify-content:space-between;gap:8px;margin-top:8px;font-size:11px;line-height:14px;
color:var(--text-2)}
.scale{margin-top:6px}
.scale svg{display:block;width:100%;height:10px;border-radius:2px}
.scale div{display:flex;justify-content:space-between;font-size:11px;line-height:14px;color:var(--text-3);
margin-top:2px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:16px 32px;margin-top:16px}
table{width:100%;border-collapse:collapse;font-size:12px;line-height:16px}
th{font-size:11px;line-height:14px;font-weight:500;color:var(--text-3);text-align:left;padding:0 8px 4px 0}
th.number{text-align:right}
td{padding:3px 8px 3px 0;vertical-align:top;overflow-wrap:anywhere}
th:last-child,td:last-child{padding-right:0}
.meter{width:88px;padding-top:9px}
.meter svg{display:block;width:100%;height:4px;border-radius:2px}
tr.first td{font-weight:600}
.swatch{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:6px}
.note{white-space:pre-wrap;overflow-wrap:anywhere}
.chips{display:flex;flex-wrap:wrap;gap:4px}
footer{max-width:1280px;margin:0 auto;padding:8px 24px 32px;color:var(--text-3);font-size:12px;line-height:16px}
.casing{fill:none;stroke:#08080A;stroke-opacity:.85;stroke-width:4px;vector-effect:non-scaling-stroke;
stroke-linejoin:round}
.outline{fill:none;stroke-width:2px;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.auto{stroke-dasharray:6 4}
.box{stroke-width:1.5px}
@media print{.pictures{grid-template-columns:repeat(3,minmax(0,1fr))}
body{background:#fff}article,.sums{border:1px solid #ccc}article{content-visibility:visible}}
"""
)

MARK = (
    '<svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.4">'
    '<path d="M10 1.6c5 0 8.4 3.6 8.4 8.400S15 18.4 10 18.4 1.6 15 1.6 10 5 1.6 10 1.600Z"/>'
    '<path d="M10.4 4.800c3.1 0 5 2.3 5 5.200s-2.2 5.2-5.2 5.200S5 12.9 5 10s2.3-5.2 5.4-5.200Z"/>'
    '<path d="M10.7 7.800c1.4 0 2.2 1 2.2 2.200s-1 2.3-2.3 2.3-2.2-1-2.2-2.2 1-2.3 2.3-2.300Z"/>'
    '<circle cx="10.7" cy="10" r=".9" fill="currentColor" stroke="none"/></svg>'
)
CHECK = (
    '<svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="m3.5 8.5 3 3 6-7"/></svg>'
)
ALERT = (
    '<svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.4" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M8 2.2 14.3 13.300H1.700Z"/><path d="M8 6.500v3.2"/>'
    '<circle cx="8" cy="11.5" r=".5" fill="currentColor"/></svg>'
)
