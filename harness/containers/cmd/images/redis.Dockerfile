# Redis as this machine's Debian package has it, with the libraries that it loads.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="Redis" org.opencontainers.image.version=$VERSION
COPY root /
COPY --chown=65532:65532 data /data
ENV PATH=/usr/bin
USER 65532:65532
VOLUME /data
WORKDIR /data
EXPOSE 6379
HEALTHCHECK --interval=2s --timeout=5s --retries=15 CMD ["healthcheck", "127.0.0.1:6379"]
CMD ["redis-server"]
