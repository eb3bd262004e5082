# The look-alike of Exchange Online: docker compose up mock
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
COPY src ./src
RUN python -m venv /opt/mailwhy \
 && /opt/mailwhy/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[mock]'

FROM python:3.11-slim
COPY --from=build /opt/mailwhy /opt/mailwhy
RUN useradd --system --uid 10001 --no-create-home mailwhy
USER 10001
ENV PATH=/opt/mailwhy/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# 2000 and after: SMTP, IMAP, POP of Exchange Online, each with STARTTLS and with implicit TLS; 2080: the control interface
EXPOSE 2000 2001 2002 2003 2004 2005 2080
ENTRYPOINT ["mailwhy", "mock", "--listen", "0.0.0.0", "--port-base", "2000", "--control-port", "2080", "--ca-file", "/ca/ca.pem"]
CMD ["--as-of", "2026-11-22"]
