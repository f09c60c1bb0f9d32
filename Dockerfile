# The base can be replaced by a mirror of it: docker build --build-arg BASE=mirror.example/python:3.11-slim-bookworm .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /app
COPY requirements.lock ./
# Byte-compiled here, once, so that a container starts fast and needs no writable packages. The marks are hashes that
# nothing checks: times of files do not survive every way of building and copying an image.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes -r requirements.lock \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib
COPY bot ./bot
COPY handlers ./handlers
COPY prompts ./prompts
COPY config ./config
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash bot handlers prompts config

FROM ${BASE}
# The archive listens on loopback; to publish it: -e PAPERBOY_WEB__HOST=0.0.0.0 -e PAPERBOY_WEB__TOKEN=… -p 8080:8080
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PAPERBOY_STORE__URL=sqlite:////data/paperboy.db
RUN groupadd --gid 10001 paperboy \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin paperboy \
    && install -d -o paperboy -g paperboy /data
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os,urllib.request as r; r.urlopen('http://127.0.0.1:'+os.environ.get('PAPERBOY_WEB__PORT','8080')+'/healthz',timeout=4)"]
CMD ["python", "-m", "bot", "run"]
