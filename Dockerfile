# nurture in an image: the package with every library pinned by version and hash, and a user that owns nothing else.
# A working folder (nurture.toml, sequences, templates, .nurture) is mounted at /srv/nurture; see docs/operating.md.

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE fields.yaml ./
COPY nurture nurture
COPY migrations migrations
COPY sequences sequences
COPY templates templates
RUN awk '/^[^ #]/ { uv = /^uv==/ } uv' requirements.lock > /uv.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r /uv.lock \
    && python -m venv --without-pip /opt/nurture \
    && uv pip install --no-cache --python /opt/nurture/bin/python \
       --constraint requirements.lock --build-constraint requirements.lock .

FROM python:3.11-slim
COPY --from=build /opt/nurture /opt/nurture
RUN useradd --system --uid 10001 --create-home nurture && mkdir /srv/nurture && chown nurture /srv/nurture
ENV PATH=/opt/nurture/bin:$PATH NURTURE_FOLDER=/srv/nurture
USER nurture
WORKDIR /srv/nurture
ENTRYPOINT ["nurture"]
CMD ["--help"]
