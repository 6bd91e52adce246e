# The emulator in a container: the stack of template.yaml, run as `make up` runs it. Not for production.
# PYTHON_IMAGE must have Python 3.13 and Debian's tools.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /opt/parley
# Any version of make will do.
# hadolint ignore=DL3008
RUN command -v make || { apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*; }
# The packages first, so that a change of the sources does not install them again.
COPY Makefile pyproject.toml .python-version README.md LICENSE package.json package-lock.json ./
COPY requirements requirements
RUN make .venv/local && make node_modules/.installed
COPY template.yaml ./
COPY stacks stacks
COPY layers layers
COPY functions functions
COPY local local
COPY cli cli
# Without wheels for this processor, the stack runs without the embedding model.
RUN make page && { make embedder || true; } && rm -rf node_modules .tools && .venv/bin/python -m compileall -q layers functions local cli

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 parley \
 && useradd --system --uid 10001 --gid parley --home-dir /data --no-create-home --shell /usr/sbin/nologin parley \
 && install -d -o parley -g parley -m 700 /data
# Python's images ship the standard library without bytecode, and the container may not write it: each worker would compile it again.
RUN python -m compileall -q -x '/(test|site-packages)/' "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/parley /opt/parley
WORKDIR /opt/parley
ENV PATH=/opt/parley/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/data \
    PARLEY_DATA=/data PARLEY_HOST=0.0.0.0 PARLEY_PORT=3000 PARLEY_AWS_PORT=3001
USER 10001:10001
VOLUME /data
EXPOSE 3000 3001
# Ready means that the database answers, not only that the port is open.
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as http; http.urlopen(f'http://127.0.0.1:{os.environ[\"PARLEY_PORT\"]}/health/ready', timeout=9)"]
ENTRYPOINT ["parley"]
CMD ["up", "--no-watch"]
