"""The page's style sheet: light and dark, and readable on a telephone."""

CSS = """
:root{color-scheme:light dark;--bg:#fbfbf9;--card:#fff;--ink:#1c1e21;--soft:#5d636b;--rule:#d9dbd6;
--band:#00000008;--good:#0a7d4f;--bad:#c2321f;--hold:#a86a00;
--v0:#2b6cb0;--v1:#0f8f62;--v2:#d68a00;--v3:#c2321f;--v4:#8a4fae;--vx:#8b8f94;--clients:#111}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e7e9ea;--soft:#a2a9b0;
--rule:#353b41;--band:#ffffff0a;--good:#4cc38a;--bad:#ff7a66;--hold:#e8b04a;
--v0:#6aa9e9;--v1:#4cc38a;--v2:#f0b24a;--v3:#ff7a66;--v4:#c29be0;--clients:#fff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0 .4rem}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem}
h3{font-size:1rem;margin:0}
p{margin:.3rem 0}
.soft,figcaption p,dt,.when{color:var(--soft);font-size:.875rem}
.lead{font-size:1.05rem}
.ok{color:var(--good)}.no{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;
margin:1.2rem 0}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;padding:.7rem .8rem}
.tile b{display:block;font-size:1.45rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.85rem;line-height:1.35;display:block}
ol.acts{list-style:none;margin:0;padding:0;display:grid;gap:.7rem}
ol.acts li{background:var(--card);border:1px solid var(--rule);border-left:.35rem solid var(--c);
border-radius:.5rem;padding:.6rem .8rem}
ol.acts b.n{display:inline-block;min-width:1.5rem;color:var(--c)}
figure{margin:0 0 1.6rem;background:var(--card);border:1px solid var(--rule);border-radius:.6rem;
padding:.8rem .9rem .5rem}
.plot{position:relative;margin:1.5rem .4rem 1.7rem 3.6rem}
.plot svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.tick{position:absolute;color:var(--soft);font-size:.75rem;line-height:1;white-space:nowrap;
font-variant-numeric:tabular-nums}
.tick.y{right:calc(100% + .4rem);transform:translateY(-50%)}
.tick.x{top:calc(100% + .45rem);transform:translateX(-50%)}
.tick.limit{color:var(--bad);font-weight:600}.tick.hold{color:var(--hold);font-weight:600}
.grid{stroke:var(--rule);stroke-width:1;vector-effect:non-scaling-stroke}
.grid.limit{stroke:var(--bad);stroke-dasharray:5 4}
.grid.hold{stroke:var(--hold);stroke-dasharray:2 4}
.band{fill:transparent}.band.odd{fill:var(--band)}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;
vector-effect:non-scaling-stroke}
.line.thin{stroke-width:1;opacity:.55}.line.clients{stroke-width:3.5}
.area{fill:var(--c);opacity:.85}
.upright{stroke-width:1.5;stroke-dasharray:4 3;vector-effect:non-scaling-stroke}
.upright.back{stroke:var(--bad)}.upright.done{stroke:var(--good)}
.dot{position:absolute;width:.6rem;height:.6rem;border-radius:50%;background:var(--c);
border:1px solid var(--card);transform:translate(-50%,-50%)}
.act{position:absolute;bottom:calc(100% + .2rem);transform:translateX(-50%);font-size:.75rem;
line-height:1.25rem;width:1.25rem;text-align:center;border-radius:50%;background:var(--rule)}
.note{position:absolute;font-size:.75rem;line-height:1.1;padding:.1rem .3rem;white-space:nowrap;
background:var(--card);border-radius:.2rem;transform:translateY(-50%)}
.note.left{margin-left:.5rem}.note.right{margin-right:.5rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:0;padding:0;
font-size:.85rem}
.swatch{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;background:var(--c);
margin-right:.35rem;vertical-align:-.05rem}
.v0{--c:var(--v0)}.v1{--c:var(--v1)}.v2{--c:var(--v2)}.v3{--c:var(--v3)}.v4{--c:var(--v4)}
.vx{--c:var(--vx)}.clients{--c:var(--clients)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--rule);vertical-align:top}
td.r,th.r{text-align:right}
ul.checks,ol.journal{list-style:none;margin:0;padding:0}
ul.checks li{padding:.35rem 0;border-bottom:1px solid var(--rule)}
ol.journal li{padding:.5rem 0;border-bottom:1px solid var(--rule);display:grid;
grid-template-columns:5.2rem 1fr;gap:0 .8rem}
ol.journal .what{font-weight:600}
ol.journal .by{color:var(--soft);font-weight:400}
pre{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.8rem;
overflow-x:auto;font:.8rem/1.45 ui-monospace,monospace;margin:.4rem 0 1rem}
pre ins{color:var(--good);text-decoration:none}pre del{color:var(--bad);text-decoration:none}
details{margin:.4rem 0}summary{cursor:pointer;color:var(--soft)}
code{font-family:ui-monospace,monospace;font-size:.9em}
@media(max-width:34rem){ol.journal li{grid-template-columns:1fr}main{padding:1rem .7rem 3rem}
.plot{margin-left:3.1rem}figure{padding:.7rem .6rem .4rem}h1{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr}}
"""
