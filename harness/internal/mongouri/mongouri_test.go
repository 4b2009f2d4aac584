package mongouri_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
)

func TestWithDatabase_KeepsWhereTheUserIsAuthenticated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ uri, server, app string }{
		"nothing but a host": {
			"mongodb://localhost", "mongodb://localhost/", "mongodb://localhost/app",
		},
		"options without a slash before them": {
			"mongodb://127.0.0.1:1?directConnection=true", "mongodb://127.0.0.1:1/?directConnection=true", "mongodb://127.0.0.1:1/app?directConnection=true",
		},
		"a database, no user": {
			"mongodb://127.0.0.1:1/plant?replicaSet=rs0", "mongodb://127.0.0.1:1/?replicaSet=rs0", "mongodb://127.0.0.1:1/app?replicaSet=rs0",
		},
		"several hosts": {
			"mongodb://a:1,b:2/plant?replicaSet=rs0", "mongodb://a:1,b:2/?replicaSet=rs0", "mongodb://a:1,b:2/app?replicaSet=rs0",
		},
		"a user of the database": {
			"mongodb://kim:p%40w@a:1/plant?tls=true", "mongodb://kim:p%40w@a:1/?tls=true&authSource=plant", "mongodb://kim:p%40w@a:1/app?tls=true&authSource=plant",
		},
		"a user of no database is one of admin": {
			"mongodb://kim:pw@a:1", "mongodb://kim:pw@a:1/?authSource=admin", "mongodb://kim:pw@a:1/app?authSource=admin",
		},
		"an authSource of its own": {
			"mongodb://kim:pw@a:1/plant?authsource=staff", "mongodb://kim:pw@a:1/?authsource=staff", "mongodb://kim:pw@a:1/app?authsource=staff",
		},
		"a mechanism with a place": {
			"mongodb://kim:pw@a:1/plant?authMechanism=SCRAM-SHA-256", "mongodb://kim:pw@a:1/?authMechanism=SCRAM-SHA-256&authSource=plant", "mongodb://kim:pw@a:1/app?authMechanism=SCRAM-SHA-256&authSource=plant",
		},
		"LDAP, outside": {
			"mongodb://kim:pw@a:1/?authMechanism=PLAIN", "mongodb://kim:pw@a:1/?authMechanism=PLAIN&authSource=%24external", "mongodb://kim:pw@a:1/app?authMechanism=PLAIN&authSource=%24external",
		},
		"a mechanism without a place": {
			"mongodb://kim@a:1/plant?authMechanism=MONGODB-X509", "mongodb://kim@a:1/?authMechanism=MONGODB-X509", "mongodb://kim@a:1/app?authMechanism=MONGODB-X509",
		},
		"by DNS": {
			"mongodb+srv://kim:pw@plant.example/plant", "mongodb+srv://kim:pw@plant.example/?authSource=plant", "mongodb+srv://kim:pw@plant.example/app?authSource=plant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := mongouri.Server(c.uri)
			require.NoError(t, err)
			require.Equal(t, c.server, server)
			for _, uri := range []string{c.uri, server} {
				app, err := mongouri.WithDatabase(uri, "app")
				require.NoError(t, err)
				require.Equal(t, c.app, app)
			}
		})
	}
}

func TestWithDatabase_ShowsNoPassword(t *testing.T) {
	t.Parallel()
	_, err := mongouri.WithDatabase("mongodb://kim:secret@a:x", "app")
	require.ErrorContains(t, err, "the MongoDB address is no URI: ")
	require.NotContains(t, err.Error(), "secret")
}
