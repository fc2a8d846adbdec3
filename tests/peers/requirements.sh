#!/bin/sh
# Environments of the peers below the folder $1. What cannot be installed is named; its tests skip.
set -u
home=$1
mkdir -p "$home"
install() {
    env=$home/$1
    shift
    [ -x "$env/bin/python" ] || uv venv --quiet --python "$(command -v python)" "$env"
    uv pip install --quiet --python "$env/bin/python" "$@"
}
each() {
    env=$1
    shift
    install "$env" "$@" && return
    for one in "$@"; do # one that fails keeps no other away
        install "$env" "$one" || echo "not installed: $one"
    done
}

# LitServe 0.2.19 does not start beside the package mcp, which LiteLLM brings.
each web 'fastapi>=0.115' 'uvicorn>=0.34' 'flask>=3.1' 'gunicorn>=23' 'hypercorn>=0.17' \
    'bentoml>=1.4' 'kserve>=0.15' 'ray[serve]>=2.40' \
    'litellm[proxy]>=1.70' 'tritonclient[http]>=2.50' 'openai>=2' 'httpx[http2]>=0.28' \
    'requests>=2.32' 'aiohttp>=3.11'
each mlserver 'mlserver>=1.7' 'mlserver-sklearn>=1.7' 'litserve>=0.2.10'
each mlflow 'mlflow>=3.1'
exit 0
