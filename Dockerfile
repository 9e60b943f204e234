# gtalk on a CPU: `gtalk serve` by default, every other command too. See docs/guides/container.md.
# Debian keeps no old versions of packages, so none are pinned; what matters is in requirements/serve.lock.
FROM debian:bookworm-slim AS base
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 libgomp1 libstdc++6 ca-certificates \
 && rm -rf /var/lib/apt/lists/*

FROM base AS build
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv python3-dev g++ \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements requirements
# Exact versions with their hashes. TORCH_INDEX: where pip finds torch's build for the CPU, a quarter of the usual one.
ARG TORCH_INDEX
RUN python3 -m venv /opt/gtalk \
 && /opt/gtalk/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/serve.lock \
 && env ${TORCH_INDEX:+PIP_INDEX_URL="$TORCH_INDEX"} /opt/gtalk/bin/pip install --no-cache-dir --no-deps -r requirements/torch.txt
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE THIRD_PARTY.md ./
COPY csrc csrc
COPY gtalk gtalk
RUN GTALK_CUDA=0 /opt/gtalk/bin/pip install --no-cache-dir --no-deps --no-build-isolation .
# What only builds, or only tests, stays behind; the root is read-only later, so bytecode is made now.
COPY container/slim.sh container/slim.sh
RUN sh container/slim.sh /opt/gtalk

FROM base
LABEL org.opencontainers.image.title="gtalk" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.description="Talking portraits: dubs over REST, live pages"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin gtalk \
 && install -d -o 10001 -g 10001 /jobs /avatars
COPY --from=build /opt/gtalk /opt/gtalk
ENV PATH=/opt/gtalk/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba
USER 10001:10001
WORKDIR /tmp
VOLUME ["/jobs"]
EXPOSE 8090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=90s --retries=3 \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8090/health', timeout=5)"]
ENTRYPOINT ["gtalk"]
CMD ["serve", "/avatars", "--host", "0.0.0.0", "--jobs", "/jobs"]
