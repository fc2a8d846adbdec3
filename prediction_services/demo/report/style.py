"""The page's own style, beside that of the drawings: readable on a telephone."""

CSS = """
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
h1{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr}}
"""
