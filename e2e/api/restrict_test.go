package api_test

// restrict adds to a definition what the type does not say.
func restrict(name string, d *schema) {
	switch name {
	case "Event":
		d.Required = []string{"name"}
	case "GoldenReplacement":
		d.Required = []string{"new"}
	case "Part":
		d.Properties.Set("size", &schema{Type: "integer", Description: "size is the number of bytes in data."})
		d.Required = append(d.Required, "size")
	}
}
