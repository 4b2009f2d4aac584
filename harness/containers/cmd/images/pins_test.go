package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

const root = "../../../../"

func TestOfficialImages_AreThoseOfCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "docker-compose.yml")
	require.NoError(t, err)
	var images []string
	for _, m := range regexp.MustCompile(`(?m)^ +image: (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if !strings.HasPrefix(m[1], "inngest-harness/") {
			images = append(images, m[1])
		}
	}
	official := containers.OfficialImages()
	require.Equal(t, []string{official.Mongo, official.MailHog, official.Inngest}, images)
}

func TestOfficialImages_HaveTheVersionsThatAreBuilt(t *testing.T) {
	t.Parallel()
	official := containers.OfficialImages()
	require.True(t, strings.HasSuffix(official.MailHog, ":"+toolchain.Pinned(harness.ServiceMailHog)), official.MailHog)
	require.True(t, strings.HasSuffix(official.Mailpit, ":"+toolchain.Pinned(toolchain.Mailpit)), official.Mailpit)
	require.True(t, strings.HasSuffix(official.Inngest, ":"+toolchain.Pinned(harness.ServiceInngest)), official.Inngest)
}

// The overlay's Mailpit is the official one, and behaves as one that a backend starts.
func TestMailpit_IsTheSameInCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "docker/compose.mailpit.yml")
	require.NoError(t, err)
	require.Contains(t, string(text), "image: ${"+containers.EnvImageMailpit+":-"+containers.OfficialImages().Mailpit+"}\n")
	args := fleet.MailpitArgs()
	for i, flag := range args {
		name, isFlag := strings.CutPrefix(flag, "--")
		if !isFlag {
			continue
		}
		if name == "max" {
			name = "max-messages"
		}
		value := "true"
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
			value = args[i+1]
		}
		require.Contains(t, string(text), "MP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+": \""+value+"\"\n")
	}
	require.Equal(t, len(args)-3, strings.Count(string(text), " MP_"), "three of the arguments are values")
}

func TestTag_IsWhatComposeNames(t *testing.T) {
	t.Parallel()
	servers := []string{"mongo", "mailhog", "inngest", "app"}
	for file, names := range map[string][]string{
		"docker/compose.source.yml":            servers,
		"docker/compose.production.source.yml": append([]string{"caddy", "redis", "postgres"}, servers...),
	} {
		text, err := os.ReadFile(root + file)
		require.NoError(t, err)
		for _, name := range names {
			require.Contains(t, string(text), "image: "+tag(name)+"\n")
		}
	}
}
