# Like the official image it has no entrypoint, and keeps certificates in /data.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="Caddy" org.opencontainers.image.version=$VERSION
COPY root /
COPY --chown=65532:65532 data /data
ENV PATH=/usr/bin HOME=/tmp XDG_DATA_HOME=/data
USER 65532:65532
VOLUME /data
EXPOSE 8443 9443
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
