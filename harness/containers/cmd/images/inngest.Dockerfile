# Like the official image it has no entrypoint: a command names the program, as in `inngest dev`.
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="Inngest dev server, without its web page" org.opencontainers.image.version=$VERSION
COPY root /
COPY --chown=65532:65532 data /data
ENV PATH=/usr/bin HOME=/tmp DO_NOT_TRACK=1
WORKDIR /tmp
USER 65532:65532
EXPOSE 8288
HEALTHCHECK --interval=2s --timeout=10s --retries=15 CMD ["inngest", "alpha", "doctor", "healthcheck", "--skip-connect-gateway"]
CMD ["inngest", "dev", "--host", "0.0.0.0", "--no-discovery"]
