# One image for every role; the command says which. It runs from its checkout, never from a shared site-packages.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 AVTALSMOTOR_LOG_FORMAT=json
WORKDIR /avtalsmotor
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY avtalsmotor avtalsmotor
COPY common common
COPY producers producers
COPY sandbox sandbox
COPY workers workers
RUN pip install --quiet --no-cache-dir --only-binary :all: --constraint constraints.txt --editable . \
    && useradd --system --uid 10001 --home-dir /avtalsmotor avtalsmotor \
    && install --directory --owner avtalsmotor .avtalsmotor
USER avtalsmotor
ENTRYPOINT ["avtalsmotor"]
CMD ["--help"]
