FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="Maintenance notification service" org.opencontainers.image.version=$VERSION
COPY root /
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 3000
HEALTHCHECK --interval=2s --timeout=10s --retries=15 CMD ["app", "healthcheck"]
ENTRYPOINT ["app"]
