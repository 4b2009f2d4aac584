# PostgreSQL as this machine's Debian package has it, with a shell, which initdb needs, and the libraries that both load. It
# understands POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD_FILE as the official image does.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="PostgreSQL" org.opencontainers.image.version=$VERSION
COPY root /
COPY postgres.sh /usr/bin/
COPY --chown=65532:65532 data /data
ENV PATH=/usr/bin PGDATA=/data/postgres
USER 65532:65532
VOLUME /data
EXPOSE 5432
STOPSIGNAL SIGINT
HEALTHCHECK --interval=2s --timeout=5s --retries=15 CMD ["pg_isready", "--quiet", "--host=127.0.0.1"]
ENTRYPOINT ["postgres.sh"]
