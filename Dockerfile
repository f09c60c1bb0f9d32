# The base can be a mirror of this one, or any Debian with python3 (3.11 or later), python3-venv and ca-certificates:
# docker build --build-arg BASE=mirror.example/python:3.11-slim-bookworm .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# With OpenTelemetry: --build-arg REQUIREMENTS=requirements-otel.lock
ARG REQUIREMENTS=requirements.lock
WORKDIR /locks
COPY requirements.lock ./
COPY requirements-otel.lock ./
# pip stays behind in this stage. Wheels alone: what is built from source asks for tools that no lock names.
# Byte-compiled here, once, so that a container starts fast and needs no writable packages. The marks are hashes that
# nothing checks: times of files do not survive every way of building and copying an image.
RUN python3 -m venv /opt/pip \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/pip/bin/pip --python /opt/venv/bin/python install \
        --no-cache-dir --no-compile --only-binary :all: --require-hashes -r "${REQUIREMENTS}" \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib
WORKDIR /app
COPY bot ./bot
COPY handlers ./handlers
COPY prompts ./prompts
COPY config ./config
# Readable for the container's user, however strict the umask was of who checked the files out.
RUN chmod -R a+rX,go-w . \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash bot handlers prompts config

FROM ${BASE}
# The archive listens on loopback; to publish it: -e PAPERBOY_WEB__HOST=0.0.0.0 -e PAPERBOY_WEB__TOKEN=… -p 8080:8080
# Nothing is written but to /data (SQLite alone) and /tmp: both may be all that is writable.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PAPERBOY_STORE__URL=sqlite:////data/paperboy.db
RUN groupadd --gid 10001 paperboy \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin paperboy \
    && install -d -o paperboy -g paperboy /data
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# A worker, too, answers there.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os,urllib.request as r; r.urlopen('http://127.0.0.1:'+os.environ.get('PAPERBOY_WEB__PORT','8080')+'/healthz',timeout=4)"]
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
