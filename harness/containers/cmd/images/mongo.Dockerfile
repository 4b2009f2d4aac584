# FerretDB on SQLite, which stands in for MongoDB: for development and tests only.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="FerretDB, a stand-in for MongoDB" org.opencontainers.image.version=$VERSION
COPY root /
COPY --chown=65532:65532 data /data
ENV PATH=/usr/bin
USER 65532:65532
VOLUME /data
EXPOSE 27017
HEALTHCHECK --interval=2s --timeout=5s --retries=15 CMD ["ferretdb", "-check", "127.0.0.1:27017"]
ENTRYPOINT ["ferretdb", "-any-address", "-listen", "0.0.0.0:27017", "-dir", "/data"]
